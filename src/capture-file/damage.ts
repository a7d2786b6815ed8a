/** A capture file that cannot be read on: which one, where, and what was found there. */
export class CaptureFileError extends Error {
  override readonly name = 'CaptureFileError';
  readonly file: string;
  /** Byte from the file's start at which the damaged record begins; of a compressed file, of its contents. */
  readonly position: number;
  /** What is wrong there. */
  readonly fault: string;

  constructor(file: string, position: number, fault: string) {
    super(`${file}: byte ${position}: ${fault}`);
    this.file = file;
    this.position = position;
    this.fault = fault;
  }
}
