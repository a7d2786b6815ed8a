import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export type ProbeProtocol = 'TCP' | 'UDP' | 'SCTP';

/** A connection to try. */
export interface SocketProbe {
  /** Network namespace from which. */
  readonly netns: string;
  readonly address: string;
  readonly protocol: ProbeProtocol;
  readonly port: number;
}

/** `silent`: nothing came back, twice. Otherwise the name of a socket's error, such as ECONNREFUSED. */
export type Outcome = 'answered' | 'silent' | (string & {});

/** Real sockets in many network namespaces; see prober.py. */
export interface Prober extends AsyncDisposable {
  /** Answers TCP, UDP and SCTP on these ports, in both families. */
  readonly serve: (netns: string, ports: readonly number[]) => Promise<void>;
  /** Tries all at once; one outcome each. */
  readonly probe: (probes: readonly SocketProbe[]) => Promise<Outcome[]>;
}

/** An answer inside the lab takes a millisecond; this is for a machine that is busy. */
const waitMs = 300;

export function startProber(): Prober {
  const script = fileURLToPath(new URL('prober.py', import.meta.url));
  const child = spawn('/usr/bin/python3', [script], { stdio: ['pipe', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk;
  });
  const closed = new Promise<void>((resolve) => child.on('close', () => resolve()));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  let last: Promise<unknown> = Promise.resolve();
  const ask = (request: object): Promise<unknown> => {
    last = last.then(async () => {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error(`the prober ended: ${stderr}`);
      return JSON.parse(value);
    });
    return last;
  };
  return {
    serve: async (serve, ports) => void (await ask({ serve, ports })),
    probe: async (probes) =>
      (await ask({
        probe: probes.map(({ netns, address, protocol, port }) => [netns, address, protocol, port]),
        waitMs,
      })) as Outcome[],
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await closed;
    },
  };
}
