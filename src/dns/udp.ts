// A listening UDP socket.
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Address } from '../net/address.ts';
import type { Listener } from './listeners.ts';
import type { Resolver } from './resolver.ts';

/** Bytes: a burst of queries waits here while one is answered. */
const BUFFER = 1 << 20;

/** @throws Error with `code` where the address cannot be bound */
export async function listenUdp(address: Address, port: number, resolver: Resolver): Promise<Listener> {
  const { family } = address;
  const socket: Socket = createSocket({
    type: family === 4 ? 'udp4' : 'udp6',
    ipv6Only: family === 6,
    // Addresses come from the kernel: there is nothing to look up, and each datagram would wait for it.
    lookup: (host, _options, found) => found(null, host, family),
  });
  socket.on('message', (message, from) => {
    // Port 0 is nobody's (RFC 768), and to it nothing can be sent.
    if (from.port === 0) return;
    resolver.handle(message, 'udp', (reply) => {
      // Who has gone meanwhile, or cannot be reached, gets nothing.
      if (isOpen) socket.send(reply, from.port, from.address, () => {});
    });
  });
  let isOpen = true;
  // With such a look-up it may be listening before `bind` returns.
  const listening = once(socket, 'listening');
  socket.bind({ address: address.text, port, exclusive: true });
  await listening;
  socket.on('error', () => {});
  try {
    socket.setRecvBufferSize(BUFFER);
  } catch {
    // The kernel's own size will do.
  }
  return {
    port: socket.address().port,
    close: async () => {
      isOpen = false;
      socket.close();
      await once(socket, 'close');
    },
  };
}
