import { CaptureFileError } from '../capture-file/damage.ts';
import type { CapturedPacket } from '../capture-file/packet.ts';
import { readCapture } from '../capture-file/reader.ts';
import type { Decoded } from './decoded.ts';

/** Where a packet stands. */
export interface Place {
  /** The file as it was named. */
  readonly file: string;
  /** Number of the packet in its file, from 1. */
  readonly n: number;
  /** Bytes on the wire. */
  readonly length: number;
}

/** A packet of a file with what it is and what becomes of it, as `--json` prints it. */
export type ReplayedPacket = Place & Decoded;

/** A file that could not be read to its end. */
export interface Fault {
  readonly fault: string;
}

/**
 * Replays capture files one after another. A file that is damaged, or cannot be opened, yields a fault behind every
 * packet that could be read of it.
 */
export function* replay<T extends object>(
  files: readonly string[],
  decode: (packet: CapturedPacket) => T,
): Generator<(Place & T) | Fault> {
  for (const file of files) {
    let n = 0;
    const packets = readCapture(file);
    for (;;) {
      const packet = nextOf(packets, file);
      if (packet === undefined) break;
      if ('fault' in packet) {
        yield packet;
        break;
      }
      n++;
      yield { file, n, length: packet.original, ...decode(packet) };
    }
  }
}

/** Errors of reading are the file's; whatever goes wrong in decoding is a bug and stays an exception. */
function nextOf(packets: Iterator<CapturedPacket>, file: string): CapturedPacket | Fault | undefined {
  try {
    const { done, value } = packets.next();
    return done ? undefined : value;
  } catch (error) {
    if (error instanceof CaptureFileError) return { fault: error.message };
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return { fault: `${file}: ${message}` };
  }
}
