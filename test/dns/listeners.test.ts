// Real sockets: datagrams, and connections that clients use and misuse (RFC 7766).
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type Listener, Listeners } from '../../src/dns/listeners.ts';
import { listenTcp } from '../../src/dns/tcp.ts';
import { listenUdp } from '../../src/dns/udp.ts';
import { address } from '../../src/net/address.ts';
import { queryBytes, readReply, serverOf } from '../support/dns.ts';
import { nameServer } from '../support/dns-upstream.ts';

const name = 'web.default.svc.cluster.local';
const server = serverOf([
  { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web' }, spec: { clusterIP: '10.96.0.80' } },
]);
const answers = [`${name} A 10.96.0.80`];
const open: (Listener | Socket)[] = [];
afterEach(async () => {
  for (const one of open.splice(0))
    if ('close' in one) await one.close();
    else one.destroy();
});

/** @param idleMs long, for a machine that may stop for a while */
async function streams(idleMs = 60_000): Promise<Listener> {
  const listener = await listenTcp(address('127.0.0.1'), 0, server.resolver, server.statistics, idleMs);
  open.push(listener);
  return listener;
}

async function client({ port }: { port: number }) {
  const socket = connect(port, '127.0.0.1');
  open.push(socket);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => {});
  const closed = once(socket, 'close');
  await once(socket, 'connect');
  const replies = () => {
    const list: Buffer[] = [];
    let bytes = Buffer.concat(chunks);
    while (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE(0)) {
      list.push(bytes.subarray(2, 2 + bytes.readUInt16BE(0)));
      bytes = bytes.subarray(2 + bytes.readUInt16BE(0));
    }
    return list.map(readReply);
  };
  return { socket, replies, closed };
}

function framed(query: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(query.length);
  return Buffer.concat([length, query]);
}

describe('datagrams', () => {
  it.each(['127.0.0.1', '::1'])('are answered at %s, from where they were sent to', async (host) => {
    const listener = await listenUdp(address(host), 0, server.resolver);
    open.push(listener);
    const socket = createSocket(host === '::1' ? 'udp6' : 'udp4');
    const answered = once(socket, 'message');
    socket.send(queryBytes({ name }), listener.port, host);
    const [message, from] = await answered;
    socket.close();
    expect(readReply(message).answers).toEqual(answers);
    expect(from).toMatchObject({ address: host, port: listener.port });
  });
});

describe('streams', () => {
  it('carry several queries at once, in any pieces', async () => {
    const { socket, replies } = await client(await streams());
    const bytes = Buffer.concat([1, 2, 3].map((id) => framed(queryBytes({ name, id }))));
    socket.setNoDelay(true);
    for (const [from, to] of [
      [0, 1],
      [1, 2],
      [2, 9],
      [9, 70],
      [70, bytes.length],
    ]) {
      socket.write(bytes.subarray(from, to));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await expect.poll(() => replies().map(({ packet }) => packet.header.id)).toEqual([1, 2, 3]);
    expect(replies().map((reply) => reply.answers)).toEqual([answers, answers, answers]);
  });

  it('do not let a slow answer stop others', async () => {
    await using upstream = await nameServer(() => undefined);
    server.forwarder.upstreams = [upstream];
    const { socket, replies } = await client(await streams());
    socket.write(
      Buffer.concat([
        framed(queryBytes({ name: 'slow.example', id: 1 })),
        framed(queryBytes({ name, id: 2 })),
      ]),
    );
    await expect.poll(() => replies().map(({ packet }) => packet.header.id)).toEqual([2]);
    server.forwarder.upstreams = [];
  });

  it('more queries than are answered at a time are answered all', async () => {
    const { socket, replies } = await client(await streams());
    socket.write(Buffer.concat(Array.from({ length: 1000 }, (_, id) => framed(queryBytes({ name, id })))));
    await expect.poll(() => replies().length).toBe(1000);
  });

  it('are answered to a client that has closed its half', async () => {
    const { socket, replies, closed } = await client(await streams());
    socket.end(framed(queryBytes({ name })));
    await closed;
    expect(replies()).toHaveLength(1);
  });

  it('end when they carry what is no query', async () => {
    const { socket, replies, closed } = await client(await streams());
    socket.write(Buffer.from([0, 3, 1, 2, 3]));
    await closed;
    expect(replies()).toEqual([]);
  });

  it('end when they are silent', async () => {
    const { closed } = await client(await streams(50));
    await closed;
  });

  it('of one client are not without end', async () => {
    const listener = await streams();
    const clients = await Promise.all(Array.from({ length: 64 }, () => client(listener)));
    const oneMore = await client(listener);
    await oneMore.closed;
    clients[0]?.socket.write(framed(queryBytes({ name })));
    await expect.poll(() => clients[0]?.replies()).toHaveLength(1);
    expect(server.statistics.counters(0).streams).toMatchObject({ refused: 1 });
  });
});

it('listens where it is told, says where it cannot, and tries again', async () => {
  const taken = await listenUdp(address('127.0.0.1'), 0, server.resolver);
  const faults: string[][] = [];
  const listeners = new Listeners(server.resolver, server.statistics, taken.port, (found) =>
    faults.push([...found.keys()]),
  );
  await listeners.listen([address('127.0.0.1'), address('127.0.0.2')]);
  expect(faults.at(-1)).toEqual(['127.0.0.1']);
  await taken.close();
  await expect.poll(() => faults.at(-1)).toEqual([]);
  await listeners.listen([]);
  const again = await listenUdp(address('127.0.0.2'), taken.port, server.resolver);
  await again.close();
});
