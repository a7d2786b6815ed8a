import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A process of datagrams.py; without `stop` it ends with the block. */
export interface Running<Result> extends AsyncDisposable {
  readonly stop: () => Promise<Result>;
}

/** One that tells of what there is so far, too. */
export interface Observable<Result> extends Running<Result> {
  readonly soFar: () => Promise<Result>;
}

export interface Sent {
  readonly sent: number;
  /** What the sender's own kernel did not take. */
  readonly refused: number;
}

export interface Arrival {
  readonly number: number;
  readonly port: number;
  readonly sender: string;
}

/** Equal IP packets that an interface of a namespace has seen. */
export interface Seen {
  readonly direction: 'in' | 'out';
  readonly protocol: string;
  readonly source: string;
  readonly destination: string;
  readonly port: number;
  readonly frames: number;
}

export interface Target {
  readonly address: string;
  readonly port: number;
}

/** Numbered datagrams to some targets in turn, from one source port, until it is stopped. */
export const blast = (
  netns: string,
  {
    targets,
    perSecond,
    sourcePort = 40_000,
  }: { targets: readonly Target[]; perSecond: number; sourcePort?: number },
): Promise<Observable<Sent>> =>
  start(
    [
      'blast',
      netns,
      `${sourcePort}`,
      `${perSecond}`,
      ...targets.flatMap(({ address, port }) => [address, `${port}`]),
    ],
    (result) => result as Sent,
  );

/** Whole IPv4 frames out of eth0 from the moment that there is one, in the name of an address. */
export const inject = (
  netns: string,
  options: {
    readonly perSecond: number;
    readonly source: string;
    readonly routerMac: string;
    readonly port: number;
    readonly targets: readonly string[];
  },
): Promise<Observable<Sent>> => {
  const { perSecond, source, routerMac, port, targets } = options;
  return start(
    ['inject', netns, `${perSecond}`, source, routerMac, `${port}`, ...targets],
    (result) => result as Sent,
  );
};

/** Receives on UDP ports; the arrivals in their order. */
export const sink = (netns: string, ports: readonly number[]): Promise<Running<Arrival[]>> =>
  start(['sink', netns, ...ports.map(String)], (result) =>
    (result as [number, number, string][]).map(([number, port, sender]) => ({ number, port, sender })),
  );

/** Counts IP packets on all interfaces, those that come later included; discovery apart. */
export const capture = (netns: string): Promise<Observable<Seen[]>> =>
  start(['capture', netns], (result) =>
    (result as [Seen['direction'], string, string, string, number, number][]).map(
      ([direction, protocol, source, destination, port, frames]) => {
        return { direction, protocol, source, destination, port, frames };
      },
    ),
  );

async function start<Result>(
  args: readonly string[],
  read: (result: unknown) => Result,
): Promise<Observable<Result>> {
  const script = fileURLToPath(new URL('datagrams.py', import.meta.url));
  const child = spawn('/usr/bin/python3', [script, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk;
  });
  const closed = once(child, 'close');
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const line = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`datagrams.py ${args.join(' ')} ended: ${stderr}`);
    return value;
  };
  await line();
  return {
    soFar: async () => {
      child.stdin.write('\n');
      return read(JSON.parse(await line()));
    },
    stop: async () => {
      child.stdin.end();
      const result = read(JSON.parse(await line()));
      await closed;
      return result;
    },
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await closed;
    },
  };
}
