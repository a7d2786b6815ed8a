// `overweft capture`: packets of an interface as they pass, decoded, or written to a file with their verdicts.
import { stderr } from 'node:process';
import { Command, InvalidArgumentError } from 'commander';
import type { CapturedPacket } from '../capture-file/packet.ts';
import { CaptureWriter } from '../capture-file/writer.ts';
import { LiveCapture, SNAP_LENGTH } from '../phy/capture.ts';
import type { Decoded } from '../replay/decoded.ts';
import { nodeDecoder, plainDecoder } from '../replay/decoder.ts';
import { Lines } from '../replay/lines.ts';
import { Tally } from '../replay/tally.ts';
import { decodedText } from '../replay/text.ts';
import { interruptible } from './interruptible.ts';
import { type PortFlags, tunnelPorts, withTunnelPorts } from './tunnel-ports.ts';

interface Flags extends PortFlags {
  readonly json?: true;
  readonly write?: string;
  readonly filter?: string;
  readonly count?: number;
  readonly config?: string;
  readonly manifests?: string;
}

/** How long a packet may wait to be printed, or to be in the file. */
const FLUSH_MS = 200;

export function captureCommand(): Command {
  const command = new Command('capture')
    .description('capture at an interface of this network namespace, until Ctrl-C')
    .argument('<interface>', 'its name, or "any"')
    .option('--json', 'one JSON object a packet, as replay prints it')
    .option('--write <file>', 'a pcapng file instead, each packet with its verdict as a comment')
    .option('--filter <expression>', 'capture only what this pcap-filter(7) matches')
    .option('--count <n>', 'end after so many packets', count)
    .option('--config <file>', "a daemon's configuration: verdicts are those of its node, with its tables")
    .option('--manifests <dir>', "manifests for those tables, instead of the configuration's own store");
  return withTunnelPorts(command).action(async (name: string, flags: Flags) => {
    if (flags.manifests && !flags.config) throw new Error('--manifests needs --config: whose node is it?');
    const tally = await interruptible((stop) => run(name, flags, stop));
    if (!flags.json) stderr.write(`${tally}`);
  });
}

function count(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('must be a number of packets.');
}

/** Nanoseconds since 1970, to the microsecond. */
const now = (): bigint => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;

async function run(name: string, flags: Flags, stop: AbortSignal): Promise<Tally> {
  const ports = tunnelPorts(flags);
  using decoder = flags.config
    ? await nodeDecoder(flags.config, flags.manifests, ports)
    : plainDecoder(ports);
  const tally = new Tally();
  using capture = new LiveCapture({ interface: name, ...(flags.filter ? { filter: flags.filter } : {}) });
  using sink =
    flags.write === undefined
      ? new Printer(name, flags.json === true)
      : new Recorder(flags.write, name, capture);
  stderr.write(`capturing at ${name}, until Ctrl-C\n`);
  const take = (data: Buffer) => {
    const packet = { linkType: capture.linkType, data, original: data.length, time: now(), comments: [] };
    const decoded = decoder.decode(packet);
    tally.count(decoded);
    sink.take(tally.packets, packet, decoded);
  };
  const isEnough = () => sink.isClosed || tally.packets === flags.count;
  let timer: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const unlessEnough = (work: () => void) => {
        try {
          if (!isEnough()) work();
          if (isEnough()) resolve();
        } catch (error) {
          reject(error);
        }
      };
      timer = setInterval(() => unlessEnough(() => sink.flush()), FLUSH_MS);
      stop.addEventListener('abort', () => resolve());
      capture.onPacket((data) => unlessEnough(() => take(data)));
    });
  } finally {
    clearInterval(timer);
  }
  return tally;
}

/** What takes captured packets. */
interface Sink extends Disposable {
  /** Nobody reads on. */
  readonly isClosed: boolean;
  take(n: number, packet: CapturedPacket, decoded: Decoded): void;
  /** Nothing waits any longer. */
  flush(): void;
}

class Printer implements Sink {
  readonly #name: string;
  readonly #isJson: boolean;
  readonly #lines = new Lines();

  constructor(name: string, isJson: boolean) {
    this.#name = name;
    this.#isJson = isJson;
  }

  get isClosed(): boolean {
    return this.#lines.isClosed;
  }

  take(n: number, { original }: CapturedPacket, decoded: Decoded): void {
    const line = this.#isJson
      ? JSON.stringify({ file: this.#name, n, length: original, ...decoded })
      : `${n} ${decodedText(decoded)}`;
    if (this.#lines.add(line)) this.flush();
  }

  flush(): void {
    void this.#lines.flush();
  }

  [Symbol.dispose](): void {
    this.flush();
  }
}

class Recorder implements Sink {
  readonly isClosed = false;
  readonly #writer: CaptureWriter;

  constructor(file: string, name: string, { linkType }: LiveCapture) {
    this.#writer = new CaptureWriter(file, [{ linkType, name, snapLength: SNAP_LENGTH }]);
  }

  take(_: number, { data, time }: CapturedPacket, { verdict, reason }: Decoded): void {
    this.#writer.write({
      data,
      time: time ?? 0n,
      comments: [reason === null ? verdict : `${verdict} ${reason}`],
    });
  }

  flush(): void {
    this.#writer.flush();
  }

  [Symbol.dispose](): void {
    this.#writer[Symbol.dispose]();
  }
}
