// A service manager's end of sd_notify(3): Node.js cannot bind a Unix datagram socket, Python can.
import { spawn } from 'node:child_process';
import { expect, vi } from 'vitest';

const receiver = `
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
s.bind("\\0" + name[1:] if name[0] == "@" else name)
print(json.dumps("bound"), flush=True)
while True: print(json.dumps(s.recv(4096).decode()), flush=True)
`;

export interface Notified extends Disposable {
  /** Datagrams, in the order in which they came. */
  readonly heard: () => string[];
}

/** Listens at a path, or at an abstract name that begins with `@`. */
export async function notified(socket: string): Promise<Notified> {
  const child = spawn('python3', ['-c', receiver, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => {
    printed += chunk;
  });
  const lines = () => printed.split('\n').slice(0, -1);
  await vi.waitFor(() => expect(lines()).toHaveLength(1), { timeout: 20_000 });
  return {
    heard: () =>
      lines()
        .slice(1)
        .map((line) => JSON.parse(line) as string),
    [Symbol.dispose]: () => void child.kill(),
  };
}
