/**
 * A listening TCP socket (RFC 7766): each message behind its length, many of them in a connection, answered in whatever order.
 *
 *     ┌────────┬─────────┬────────┬─────────┬ …
 *     │ u16 n  │ n bytes │ u16 n  │ n bytes │
 *     └────────┴─────────┴────────┴─────────┴ …
 */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { Address } from '../net/address.ts';
import type { Listener } from './listeners.ts';
import type { Resolver } from './resolver.ts';
import type { Statistics } from './statistics.ts';

/** Milliseconds after which a connection ends that says nothing (RFC 7766 §6.2.3). */
const IDLE_MS = 10_000;
/** Connections at the same time, of all clients and of one. */
const MOST_CONNECTIONS = 512;
const MOST_OF_ONE = 64;
/** Queries of one connection that wait for answers; the next is read when one has been answered. */
const MOST_WAITING = 64;
/** Bytes of answers that a client has not taken; it is asked nothing until it does. */
const MOST_UNSENT = 1 << 18;

/** @throws Error with `code` where the address cannot be bound */
export async function listenTcp(
  address: Address,
  port: number,
  resolver: Resolver,
  statistics: Statistics,
  idleMs = IDLE_MS,
): Promise<Listener> {
  const open = new Map<string, Set<Socket>>();
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    const client = socket.remoteAddress ?? '';
    const own = open.get(client) ?? new Set();
    if (sockets.size >= MOST_CONNECTIONS || own.size >= MOST_OF_ONE) {
      statistics.refuseStream();
      socket.destroy();
      return;
    }
    sockets.add(socket);
    open.set(client, own.add(socket));
    statistics.stream(1);
    socket.on('close', () => {
      statistics.stream(-1);
      sockets.delete(socket);
      own.delete(socket);
      if (own.size === 0) open.delete(client);
    });
    serve(socket, resolver, idleMs);
  });
  server.listen({ host: address.text, port, ipv6Only: address.family === 6, exclusive: true });
  await once(server, 'listening');
  server.on('error', () => {});
  const { port: bound } = server.address() as { port: number };
  return {
    port: bound,
    close: async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
      if (server.listening) await once(server, 'close');
    },
  };
}

function serve(socket: Socket, resolver: Resolver, idleMs: number): void {
  let unread: Buffer = Buffer.alloc(0);
  let waiting = 0;
  let hasEnded = false;
  const respond = (reply: Buffer) => {
    waiting--;
    const length = Buffer.alloc(2);
    length.writeUInt16BE(reply.length);
    if (socket.writable) socket.write(Buffer.concat([length, reply]));
    if (unread.length > 0) setImmediate(read);
    else if (hasEnded && waiting === 0) socket.end();
  };
  const read = () => {
    while (waiting < MOST_WAITING && socket.writableLength < MOST_UNSENT) {
      const end = unread.length < 2 ? Number.POSITIVE_INFINITY : 2 + unread.readUInt16BE(0);
      if (unread.length < end) {
        if (hasEnded && waiting === 0) socket.end();
        else socket.resume();
        return;
      }
      const message = unread.subarray(2, end);
      unread = unread.subarray(end);
      waiting++;
      if (resolver.handle(message, 'tcp', respond)) continue;
      // Whoever sends what is no query knows no DNS.
      socket.destroy();
      return;
    }
    socket.pause();
  };
  socket.setTimeout(idleMs, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('drain', read);
  socket.on('data', (chunk: Buffer) => {
    unread = unread.length === 0 ? chunk : Buffer.concat([unread, chunk]);
    read();
  });
  // A client may close its half as soon as it has asked.
  socket.on('end', () => {
    hasEnded = true;
    read();
  });
}
