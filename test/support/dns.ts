// A resolver over manifests, and questions to it as bytes.
import { Packet } from 'dns2';
import { changesBetween } from '../../src/control/changes.ts';
import { Forwarder } from '../../src/dns/forwarder.ts';
import type { NameChanges } from '../../src/dns/objects.ts';
import { nameChanges } from '../../src/dns/objects.ts';
import { Resolver } from '../../src/dns/resolver.ts';
import { Statistics } from '../../src/dns/statistics.ts';
import { addressesByFamily, Zone, type ZoneSettings } from '../../src/dns/zone.ts';
import { prefix } from '../../src/net/prefix.ts';
import { objectsFrom } from './services.ts';

export const usualZone: ZoneSettings = {
  domain: 'cluster.local',
  ttl: 5,
  pods: 'any',
  blocks: ['10.244.0.0/16', '10.96.0.0/12', 'fd00:244::/32'].map(prefix),
};

export const changesOf = (items: readonly object[]): NameChanges =>
  nameChanges(changesBetween(undefined, objectsFrom(items)), true);

export interface Server {
  readonly zone: Zone;
  readonly forwarder: Forwarder;
  readonly statistics: Statistics;
  readonly resolver: Resolver;
}

/** Milliseconds: long, for a machine that may stop for a while. */
const unhurried = { patience: 3000, timeout: 12_000 };

export function serverOf(
  items: readonly object[],
  settings: Partial<ZoneSettings> = {},
  times: typeof unhurried = unhurried,
): Server {
  const statistics = new Statistics();
  const zone = new Zone({ ...usualZone, ...settings });
  zone.nameServers = addressesByFamily(['169.254.20.10', 'fd00:169:254:20::10']);
  zone.apply(changesOf(items));
  const cache = { entries: 100, longest: 3600, longestNegative: 300 };
  const forwarder = new Forwarder({ cache, ...times }, statistics);
  return { zone, forwarder, statistics, resolver: new Resolver(zone, forwarder, statistics) };
}

export const types = { ...Packet.TYPE, HINFO: 13, IXFR: 251, TKEY: 249, HTTPS: 65 };
const rcodes: readonly string[] = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];

export interface QueryFields {
  readonly name: string;
  readonly type?: keyof typeof types;
  readonly id?: number;
  readonly class?: number;
  readonly recursion?: boolean;
  /** Of an OPT record. */
  readonly size?: number;
  readonly version?: number;
  readonly dnssec?: boolean;
}

export function queryBytes({
  name,
  type = 'A',
  id = 0x1234,
  class: klass = 1,
  recursion = true,
  ...edns
}: QueryFields): Buffer {
  const packet = new Packet({ id, rd: recursion ? 1 : 0 } as never);
  packet.questions = [{ name, type: types[type], class: klass } as never];
  if (Object.keys(edns).length > 0) {
    const { size: udpPayloadSize = 1232, version = 0, dnssec: doFlag = false } = edns;
    packet.additionals = [Packet.Resource.EDNS([], { udpPayloadSize, version, doFlag }) as never];
  }
  return packet.toBuffer();
}

/** A reply in short; records as dig prints them, without class and TTL. */
export interface Reply {
  readonly bytes: Buffer;
  readonly packet: Packet;
  readonly rcode: string;
  readonly answers: readonly string[];
  readonly authorities: readonly string[];
  readonly additionals: readonly string[];
}

export function readReply(bytes: Buffer): Reply {
  const packet = Packet.parse(bytes);
  if (packet.errors.length > 0) throw packet.errors[0];
  const lines = (list: readonly Packet['answers'][number][]) => list.map(recordText);
  return {
    bytes,
    packet,
    rcode: rcodes[packet.header.rcode] ?? `${packet.header.rcode}`,
    answers: lines(packet.answers),
    authorities: lines(packet.authorities),
    additionals: lines(packet.additionals),
  };
}

function recordText(record: Packet['answers'][number]): string {
  const type = Object.entries(types).find(([, number]) => number === record.type)?.[0] ?? `${record.type}`;
  const { priority, weight, port, target, primary, admin, minimum } = record;
  const data = {
    SRV: `${priority} ${weight} ${port} ${target}`,
    SOA: `${primary} ${admin} ${minimum}`,
    EDNS: `${record.class} ${record.version} ${record.doFlag ? 'do' : '-'}`,
  }[type];
  return [record.name, type, data ?? record.address ?? record.domain ?? record.ns ?? record.data]
    .join(' ')
    .trim();
}

/** The reply to bytes; undefined: there is none. */
export function replyTo(
  server: Server,
  bytes: Buffer,
  transport: 'udp' | 'tcp' = 'udp',
): Promise<Reply | undefined> {
  return new Promise((resolve) => {
    const isAnswered = server.resolver.handle(bytes, transport, (reply) => resolve(readReply(reply)));
    if (!isAnswered) resolve(undefined);
  });
}

export async function ask(
  server: Server,
  query: QueryFields,
  transport: 'udp' | 'tcp' = 'udp',
): Promise<Reply> {
  const reply = await replyTo(server, queryBytes(query), transport);
  if (!reply) throw new Error('there is no reply');
  return reply;
}
