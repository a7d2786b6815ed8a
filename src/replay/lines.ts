import { stdout } from 'node:process';

/** Characters that are written at once. */
const BATCH = 1 << 16;

/** Lines to stdout in large writes, no faster than the reader takes them. */
export class Lines {
  #pending = '';
  #isClosed = false;

  constructor() {
    stdout.on('error', () => {
      this.#isClosed = true;
    });
  }

  /** Nobody reads on, or nothing more can be written: src/cli/streams.ts says what is wrong. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** @returns true where flush() is due */
  add(line: string): boolean {
    this.#pending += `${line}\n`;
    return this.#pending.length >= BATCH;
  }

  async flush(): Promise<void> {
    const text = this.#pending;
    this.#pending = '';
    if (text === '' || this.#isClosed) return;
    await new Promise<void>((resolve) => stdout.write(text, () => resolve()));
  }
}
