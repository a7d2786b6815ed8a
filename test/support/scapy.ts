import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** scapy at one interface of a network namespace; see scapy-peer.py. */
export interface Scapy extends AsyncDisposable {
  /** Bytes of a scapy expression, hexadecimal. */
  readonly build: (expression: string) => Promise<string>;
  /** Puts a frame on the wire: the expression begins with Ether(). */
  readonly send: (expression: string) => Promise<void>;
  /** The first frame from now on that `wanted` accepts, hexadecimal. */
  readonly receive: (wanted: (frame: string) => boolean) => Promise<string>;
}

const receivePatienceMs = 3000;

export async function scapyAt(netns: string, link: string): Promise<Scapy> {
  const script = fileURLToPath(new URL('scapy-peer.py', import.meta.url));
  // The system's interpreter: another one may stand first in PATH and know no scapy.
  const child = spawn('ip', ['netns', 'exec', netns, '/usr/bin/python3', script, link], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk;
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`scapy ended: ${stderr}`);
    return JSON.parse(value);
  };
  const ask = (request: object): Promise<unknown> => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    return next();
  };
  await next();
  return {
    build: async (build) => (await ask({ build })) as string,
    send: async (send) => void (await ask({ send })),
    receive: async (wanted) => {
      const seen: string[] = [];
      for (const deadline = Date.now() + receivePatienceMs; Date.now() < deadline; ) {
        const frames = (await ask({ frames: null })) as string[];
        const found = frames.find(wanted);
        if (found !== undefined) return found;
        seen.push(...frames);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      throw new Error(`no such frame at ${link} in ${netns}; others:\n${seen.join('\n')}`);
    },
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await new Promise((resolve) => (child.exitCode === null ? child.on('exit', resolve) : resolve(null)));
    },
  };
}
