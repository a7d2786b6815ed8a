// What strangers can do to a listener of the daemon: little.
import type { RequestListener, ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { publicServer } from '../../src/daemon/public-server.ts';

const open: Disposable[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one[Symbol.dispose]();
});

async function listening(connections: number, patience: number, listener: RequestListener) {
  const server = publicServer(listener, { connections, patience });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push({
    [Symbol.dispose]: () => {
      server.close();
      server.closeAllConnections();
    },
  });
  const count = () => new Promise<number>((resolve) => server.getConnections((_, number) => resolve(number)));
  return { port: (server.address() as AddressInfo).port, count };
}

/** A client that says what it is told, reads or does not, and tells whether it has been cut off. */
function client(port: number, words = '', reads = true) {
  const socket: Socket = connect(port, '127.0.0.1');
  let isClosed = false;
  let heard = '';
  socket.on('error', () => {});
  socket.on('close', () => {
    isClosed = true;
  });
  if (reads) {
    socket.on('data', (chunk: Buffer) => {
      heard += chunk;
    });
  }
  socket.write(words);
  open.push({ [Symbol.dispose]: () => void socket.destroy() });
  return { isClosed: () => isClosed, heard: () => heard, leave: () => void socket.destroy() };
}

const request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
const ok: RequestListener = (_, response) => response.end('fine');

it('closes connections beyond its number, and answers again when there is room', async () => {
  const { port, count } = await listening(4, 60_000, ok);
  const first = Array.from({ length: 4 }, () => client(port, request));
  for (const one of first) await expect.poll(one.heard).toContain('fine');
  const more = Array.from({ length: 4 }, () => client(port, request));
  for (const one of more) await expect.poll(one.isClosed).toBe(true);
  expect(first.map((one) => one.isClosed())).toEqual([false, false, false, false]);
  for (const one of first) one.leave();
  await expect.poll(count).toBe(0);
  await expect.poll(client(port, request).heard).toContain('fine');
});

it.each([
  ['says nothing', ''],
  ['does not end its request', 'GET / HTTP/1.1\r\nHost: x\r\nX: '],
  ['says nothing more after an answer', request],
])('cuts off whoever %s', async (_, words) => {
  const { port } = await listening(4, 300, ok);
  await expect.poll(client(port, words).isClosed).toBe(true);
});

it('cuts off whoever does not read', async () => {
  const answered: ServerResponse[] = [];
  const { port, count } = await listening(4, 300, (_, response) => {
    answered.push(response.end(Buffer.alloc(64 << 20)));
  });
  client(port, request, false);
  await expect.poll(() => answered.length).toBe(1);
  await expect.poll(count).toBe(0);
});
