// A local user without any right who holds a name that he should not have.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** His user id. */
export const STRANGER = 61_234;

const squatter = `
import os, socket, sys
os.setresgid(${STRANGER}, ${STRANGER}, ${STRANGER}); os.setresuid(${STRANGER}, ${STRANGER}, ${STRANGER})
s = socket.socket(socket.AF_UNIX); s.bind('\\0' + sys.argv[1]); s.listen()
print('held', flush=True); sys.stdin.read()
`;

/**
 * Listens at an abstract Unix socket until the end of the block; root can start one.
 * @param netns namespace in which; the caller's by default
 */
export async function stranger(name: string, netns?: string): Promise<Disposable> {
  const inside = netns === undefined ? [] : ['ip', 'netns', 'exec', netns];
  const [command = '', ...args] = [...inside, '/usr/bin/python3', '-c', squatter, name];
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'close').then(() => {
      throw new Error(`${name} cannot be held`);
    }),
  ]);
  return { [Symbol.dispose]: () => void child.kill('SIGKILL') };
}
