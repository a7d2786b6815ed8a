/**
 * What tshark says about the packets of a capture, in the words of `overweft replay --json`.
 *
 * One tshark run a capture prints PDML; its top-level elements are the layers in order, so that the packet which an
 * ICMP error quotes, an element inside, is no layer. Reassembly is off, every checksum validated.
 */
import { spawn } from 'node:child_process';
import type {
  ChecksumState,
  Decoded,
  Ethernet,
  Inner,
  Ip,
  Option,
  Outer,
  Transport,
  Tunnel,
} from '../../src/replay/decoded.ts';

/** A packet as tshark sees it. Verdicts are ours alone. */
export interface Dissection extends Omit<Decoded, 'verdict' | 'reason'> {
  readonly n: number;
  readonly length: number;
  readonly captured: number;
  /** Names of the layers, frame.protocols. */
  readonly protocols: string;
}

export interface Dissections {
  readonly packets: readonly Dissection[];
  /** What tshark printed on stderr about the file. */
  readonly complaint: string;
}

const layers = 'frame eth vlan ieee8021ad sll null ip ipv6 ah udp tcp sctp vxlan geneve';

const preferences = [
  'ip.defragment:FALSE',
  'ipv6.defragment:FALSE',
  'tcp.desegment_tcp_streams:FALSE',
  'tcp.analyze_sequence_numbers:FALSE',
  'ip.check_checksum:TRUE',
  'udp.check_checksum:TRUE',
  'tcp.check_checksum:TRUE',
  'sctp.checksum:CRC 32c',
];

/** UDP ports at which a tunnel is looked for. */
const tunnelPorts: ReadonlyMap<number, 'vxlan' | 'geneve'> = new Map([
  [4789, 'vxlan'],
  [8472, 'vxlan'],
  [6081, 'geneve'],
]);

/** Runs tshark over a capture. */
export async function dissect(file: string): Promise<Dissections> {
  const args = ['-n', '-r', file, '-T', 'pdml', '-J', layers, '-d', 'udp.port==8472,vxlan'];
  const child = spawn('tshark', [...args, ...preferences.flatMap((preference) => ['-o', preference])], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
  });
  const packets: Dissection[] = [];
  let rest = '';
  for await (const text of child.stdout.setEncoding('utf8')) {
    const pieces = (rest + text).split('</packet>');
    rest = pieces.pop() as string;
    for (const piece of pieces) packets.push(readPacket(piece));
  }
  return { packets, complaint };
}

/** One element of the packet: its name, where it begins, and its text. */
interface Layer {
  readonly name: string;
  readonly at: number;
  readonly text: string;
}

function readPacket(text: string): Dissection {
  const all = text
    .split('\n  <proto ')
    .slice(1)
    .map(
      (piece): Layer => ({
        name: attribute(piece, 'name'),
        at: Number(attribute(piece, 'pos')),
        text: piece,
      }),
    );
  const frame = all.find(({ name }) => name === 'frame') as Layer;
  const first = all.indexOf(frame) + 1;
  const length = number(frame, 'frame.len') as number;
  const captured = number(frame, 'frame.cap_len') as number;
  return {
    n: number(frame, 'frame.number') as number,
    length,
    captured,
    protocols: field(frame, 'frame.protocols') as string,
    ...readLayers(all.slice(first), captured < length ? null : length),
  };
}

const links = ['eth', 'sll', 'null', 'raw', 'loop'];

/** Where the frame ends; null where no checksum can be judged: a frame cut short, or a piece of a packet. */
type Extent = number | null;

function readLayers(all: readonly Layer[], extent: Extent): Pick<Dissection, 'outer' | 'tunnel' | 'inner'> {
  const whole = readInner(all, extent);
  if (whole === undefined) return { outer: null, tunnel: null, inner: null };
  const outer = whole.inner.ip && outerOf(whole.inner.ip, whole.inner.l4);
  const tunnel = outer && tunnelOf(outer, whole.rest, whole.isPiece ? null : extent);
  return tunnel ? { outer, ...tunnel } : { outer, tunnel: null, inner: whole.inner };
}

function outerOf({ src, dst, protocol }: Ip, l4: Transport | null): Outer {
  const checksum = protocol === 17 && l4 ? l4.checksum : 'none';
  return { src, dst, protocol, sport: l4?.sport ?? null, dport: l4?.dport ?? null, checksum };
}

function tunnelOf(
  { protocol, dport }: Outer,
  rest: readonly Layer[],
  extent: Extent,
): { tunnel: Tunnel; inner: Inner | null } | undefined {
  const [head] = rest;
  if (!head) return undefined;
  const ipip = { vni: null, oam: null, critical: null, options: null };
  if ((protocol === 4 || protocol === 41) && (head.name === 'ip' || head.name === 'ipv6'))
    return { tunnel: { type: 'ipip', ...ipip, protocol }, inner: readInner(rest, extent)?.inner ?? null };
  const type = protocol === 17 ? tunnelPorts.get(dport as number) : undefined;
  if (type !== head.name || !type) return undefined;
  const inner = readInner(rest.slice(1), extent)?.inner ?? null;
  const vni = number(head, `${type}.vni`) ?? null;
  if (type === 'vxlan') return { tunnel: { type, ...ipip, vni, protocol: null }, inner };
  const isRead = vni !== null;
  return {
    tunnel: {
      type,
      vni,
      protocol: number(head, 'geneve.proto_type') ?? null,
      oam: isRead ? number(head, 'geneve.flags.oam') === 1 : null,
      critical: isRead ? number(head, 'geneve.flags.critical') === 1 : null,
      options: isRead ? optionsOf(head) : null,
    },
    inner,
  };
}

function optionsOf({ text }: Layer): Option[] {
  return text
    .split('<field name="geneve.option" ')
    .slice(1)
    .flatMap((piece) => {
      const option: Layer = { name: 'option', at: 0, text: piece };
      const type = number(option, 'geneve.option.type');
      const length = number(option, 'geneve.option.length');
      if (type === undefined || length === undefined) return [];
      return [
        {
          class: number(option, 'geneve.option.class') as number,
          type: type & 0x7f,
          critical: (type & 0x80) !== 0,
          length,
        },
      ];
    });
}

/** Ethernet, IP and transport from the first layer on, and the layers behind them. */
function readInner(
  all: readonly Layer[],
  extent: Extent,
): { inner: Inner; rest: readonly Layer[]; isPiece: boolean } | undefined {
  let at = 0;
  let ethernet: Ethernet | null = null;
  if (links.includes(all[0]?.name ?? '')) {
    const eth = all[at++] as Layer;
    if (eth.name === 'eth') ethernet = ethernetOf(eth);
  }
  const tags: Layer[] = [];
  while (['vlan', 'ieee8021ad'].includes(all[at]?.name ?? '')) tags.push(all[at++] as Layer);
  const lastTag = tags.at(-1);
  if (ethernet && lastTag)
    ethernet = {
      ...ethernet,
      type: number(lastTag, 'vlan.etype') ?? number(lastTag, 'ieee8021ah.etype') ?? null,
      vlans: tags.flatMap((tag) => number(tag, `${tag.name}.id`) ?? []),
    };
  const network = all[at];
  const nothing = ethernet && { inner: { ethernet, ip: null, l4: null }, rest: [], isPiece: false };
  if (!network || (network.name !== 'ip' && network.name !== 'ipv6')) return nothing ?? undefined;
  const ip = network.name === 'ip' ? ipv4Of(network) : ipv6Of(network);
  if (!ip) return nothing ?? undefined;
  at++;
  const isPiece = ip.fragment.more || ip.fragment.offset > 0;
  const transport = all[at];
  const l4 = transport && transportOf(transport, network, ip, isPiece ? null : extent);
  if (l4) at++;
  return { inner: { ethernet, ip, l4: l4 ?? null }, rest: all.slice(at), isPiece };
}

/** Bytes that tshark counts fragment offsets in. */
const FRAGMENT_UNIT = 8;

function ethernetOf(eth: Layer): Ethernet | null {
  const src = field(eth, 'eth.src');
  const dst = field(eth, 'eth.dst');
  return src && dst ? { src, dst, type: number(eth, 'eth.type') ?? null, vlans: [] } : null;
}

function ipv4Of(ip: Layer): Ip | null {
  const src = field(ip, 'ip.src');
  const dst = field(ip, 'ip.dst');
  if (!src || !dst) return null;
  const offset = (number(ip, 'ip.frag_offset') as number) * FRAGMENT_UNIT;
  const more = number(ip, 'ip.flags.mf') === 1;
  return {
    version: 4,
    src,
    dst,
    protocol: number(ip, 'ip.proto') as number,
    ttl: number(ip, 'ip.ttl') as number,
    dscp: number(ip, 'ip.dsfield.dscp') as number,
    ecn: number(ip, 'ip.dsfield.ecn') as number,
    fragment: { offset, more },
  };
}

function ipv6Of(ip: Layer): Ip | null {
  const src = canonical(field(ip, 'ipv6.src'));
  const dst = canonical(field(ip, 'ipv6.dst'));
  if (!src || !dst) return null;
  const offset = number(ip, 'ipv6.fraghdr.offset') ?? 0;
  const next = [
    ...ip.text.matchAll(/name="(?:ipv6\.(?:[a-z]+\.)?nxt|ah\.next_header)"[^\n]* show="(\d+)"/g),
  ].at(-1)?.[1];
  return {
    version: 6,
    src,
    dst,
    protocol: Number(next),
    ttl: number(ip, 'ipv6.hlim') as number,
    dscp: number(ip, 'ipv6.tclass.dscp') as number,
    ecn: number(ip, 'ipv6.tclass.ecn') as number,
    fragment: { offset: offset * FRAGMENT_UNIT, more: number(ip, 'ipv6.fraghdr.more') === 1 },
  };
}

/** tshark writes the IPv4-compatible addresses, deprecated by RFC 4291 §2.5.5.1, like the mapped ones. */
function canonical(text: string | undefined): string | undefined {
  const [, a = 0, b = 0, c = 0, d = 0] = /^::(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text ?? '')?.map(Number) ?? [];
  if (a === 0 && b === 0 && c === 0 && d === 0) return text;
  return `::${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

const transports: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132 };

function transportOf(layer: Layer, network: Layer, ip: Ip, extent: Extent): Transport | undefined {
  const { name } = layer;
  if (transports[name] !== ip.protocol) return undefined;
  const sport = number(layer, `${name}.srcport`);
  const dport = number(layer, `${name}.dstport`);
  if (sport === undefined || dport === undefined) return undefined;
  return { sport, dport, checksum: extent === null ? 'none' : checksumOf(layer, network, ip, extent) };
}

/** Status that tshark gives: 0 bad, 1 good, 2 unverified, 3 not present. */
function checksumOf(layer: Layer, network: Layer, ip: Ip, extent: number): ChecksumState {
  const { name } = layer;
  const status = number(layer, `${name}.checksum.status`);
  const value = number(layer, `${name}.checksum`);
  if (name === 'udp' && value === 0) return 'zero';
  if (status === 1) return 'ok';
  if (status !== 0) return 'none';
  return name !== 'sctp' && value === pseudoHeaderSum(layer, network, ip, extent) ? 'partial' : 'bad';
}

/** One's complement sum of the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1), from what tshark printed. */
function pseudoHeaderSum(layer: Layer, network: Layer, ip: Ip, extent: number): number {
  const bytes =
    ip.version === 4 ? (number(network, 'ip.len') as number) : 40 + (number(network, 'ipv6.plen') as number);
  const end = Math.min(network.at + bytes, extent);
  const length = layer.name === 'udp' ? (number(layer, 'udp.length') as number) : end - layer.at;
  const prefix = ip.version === 4 ? 'ip' : 'ipv6';
  const words = ['src', 'dst'].flatMap(
    (which) => value(network, `${prefix}.${which}`).match(/.{4}/g) as string[],
  );
  let sum = words.reduce(
    (total, word) => total + Number.parseInt(word, 16),
    ip.protocol + (length >>> 16) + (length & 0xffff),
  );
  while (sum > 0xffff) sum = (sum >>> 16) + (sum & 0xffff);
  return sum;
}

const attribute = (text: string, name: string): string =>
  new RegExp(`(?:^| )${name}="([^"]*)"`).exec(text)?.[1] ?? '';

/** First value of a field of the layer, as shown. */
function field({ text }: Layer, name: string): string | undefined {
  const at = text.indexOf(`<field name="${name}" `);
  if (at < 0) return undefined;
  const line = text.slice(at, text.indexOf('>', at));
  return attribute(line, 'show');
}

/** The same in hexadecimal. */
function value({ text }: Layer, name: string): string {
  const at = text.indexOf(`<field name="${name}" `);
  return attribute(text.slice(at, text.indexOf('>', at)), 'value');
}

function number(layer: Layer, name: string): number | undefined {
  const shown = field(layer, name);
  return shown === undefined || shown === '' ? undefined : Number(shown);
}
