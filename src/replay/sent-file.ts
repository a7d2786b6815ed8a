import { CaptureWriter } from '../capture-file/writer.ts';
import type { TablePort } from '../dataplane/tables.ts';
import type { Sent } from './sent.ts';

const ETHERNET = 1;
const RAW = 101;

/** A pcapng file of what a node would have sent: an interface for the underlay, and one for each port. */
export class SentFile implements Disposable {
  readonly #writer: CaptureWriter;
  readonly #interfaces: ReadonlyMap<number | undefined, number>;

  constructor(file: string, ports: readonly TablePort[]) {
    this.#interfaces = new Map([undefined, ...ports.map(({ slot }) => slot)].map((slot, i) => [slot, i]));
    this.#writer = new CaptureWriter(file, [
      { linkType: RAW, name: 'underlay' },
      ...ports.map(({ kind, pod }) => ({ linkType: ETHERNET, name: pod ?? kind })),
    ]);
  }

  /** Written with the time of the packet that caused it. */
  write({ slot, data }: Sent, time: bigint | null): void {
    this.#writer.write({ interface: this.#interfaces.get(slot) ?? 0, data, time: time ?? 0n });
  }

  [Symbol.dispose](): void {
    this.#writer[Symbol.dispose]();
  }
}
