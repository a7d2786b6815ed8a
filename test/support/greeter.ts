// A server that tells each client the address that it sees, and sends datagrams back.
import { spawn } from 'node:child_process';
import { run } from './run.ts';

const PORT = 7007;

const server = `
import socket, threading
s = socket.socket(socket.AF_INET6)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind(('::', ${PORT})); s.listen(16)
u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); u.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
u.bind(('::', ${PORT}))
def echo():
    while True: u.sendto(*u.recvfrom(65535))
threading.Thread(target=echo, daemon=True).start()
print('ready', flush=True)
while True:
    c, peer = s.accept(); c.sendall(peer[0].removeprefix('::ffff:').encode()); c.close()
`;

const client = (address: string, port: number) => `
import socket
with socket.create_connection(('${address}', ${port}), timeout=3) as s: print(s.recv(64).decode())
`;

/** A running server; it ends with an `await using` block. */
export type Greeter = AsyncDisposable;

/** Starts one in a network namespace, for both families. */
export async function greeter(netns: string): Promise<Greeter> {
  const child = spawn('ip', ['netns', 'exec', netns, '/usr/bin/python3', '-c', server], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('close', () => reject(new Error(`the server in ${netns} has ended`)));
  });
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** As whom a client in a namespace appears to the server at an address; null where it does not get through. */
export async function seenBy(netns: string, address: string, port = PORT): Promise<string | null> {
  const { status, stdout } = await run('/usr/bin/python3', ['-c', client(address, port)], { netns });
  return status === 0 ? stdout.trim() : null;
}
