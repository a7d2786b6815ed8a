// Name servers for a resolver to ask: real sockets on loopback, each answering as a test says.
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { Packet } from 'dns2';
import type { Upstream } from '../../src/dns/exchange.ts';
import { address } from '../../src/net/address.ts';

/** What a server does with a query: bytes to send back, one or several messages, or nothing. */
export type Behaviour = (query: Packet, transport: 'udp' | 'tcp') => Buffer | readonly Buffer[] | undefined;

export interface NameServer extends Upstream, AsyncDisposable {
  /** Queries that have come, as `transport name type`. */
  readonly asked: readonly string[];
}

export interface AnswerFields {
  readonly answers?: readonly object[];
  readonly authorities?: readonly object[];
  readonly additionals?: readonly object[];
  /** Of the header. */
  readonly header?: object;
  readonly name?: string;
}

/** An answer to a query, as it should be but for the fields that are given. */
export function answerTo(
  query: Packet,
  { answers = [], authorities = [], additionals = [], header, name }: AnswerFields,
): Buffer {
  const packet = new Packet({ id: query.header.id, qr: 1, rd: 1, ra: 1, ...header } as never);
  const question = query.questions[0];
  packet.questions = [{ ...question, ...(name !== undefined && { name }) } as never];
  packet.answers = answers as never;
  packet.authorities = authorities as never;
  packet.additionals = additionals as never;
  return packet.toBuffer();
}

export const a = (name: string, ip: string, ttl = 60) => ({ name, type: 1, class: 1, ttl, address: ip });
export const soa = (name: string, minimum: number, ttl = 900) => ({
  name,
  type: 6,
  class: 1,
  ttl,
  primary: `ns.${name}`,
  admin: `root.${name}`,
  serial: 1,
  refresh: 1,
  retry: 1,
  expiration: 1,
  minimum,
});

/** @param wanted port; 0: any */
export async function nameServer(behaviour: Behaviour, host = '127.0.0.1', wanted = 0): Promise<NameServer> {
  const asked: string[] = [];
  const answers = (bytes: Buffer, transport: 'udp' | 'tcp'): readonly Buffer[] => {
    const query = Packet.parse(bytes);
    const { name, type } = query.questions[0] ?? {};
    asked.push(`${transport} ${name} ${type}`);
    const said = behaviour(query, transport);
    return said === undefined ? [] : Array.isArray(said) ? said : [said as Buffer];
  };
  const tcp: Server = createServer((socket) => {
    let bytes = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length < 2 || bytes.length < 2 + bytes.readUInt16BE(0)) return;
      for (const answer of answers(bytes.subarray(2, 2 + bytes.readUInt16BE(0)), 'tcp')) {
        const length = Buffer.alloc(2);
        length.writeUInt16BE(answer.length);
        // In two pieces, as a network may deliver it.
        socket.write(Buffer.concat([length, answer.subarray(0, 5)]));
        setTimeout(() => socket.write(answer.subarray(5)), 5);
      }
    });
  });
  tcp.listen(wanted, host);
  await once(tcp, 'listening');
  const { port } = tcp.address() as { port: number };
  const udp: Socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  udp.on('message', (message, from) => {
    for (const answer of answers(message, 'udp')) udp.send(answer, from.port, from.address);
  });
  udp.bind(port, host);
  await once(udp, 'listening');
  return {
    address: address(host),
    port,
    asked,
    [Symbol.asyncDispose]: async () => {
      udp.close();
      tcp.close();
    },
  };
}
