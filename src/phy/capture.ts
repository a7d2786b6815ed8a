/**
 * Live capture, and frames to be sent, by libpcap, through the npm package `cap`.
 *
 * The package is built for one Node ABI, needs libpcap's headers for that and loads in the main thread only, so it may
 * be absent: then opening says why.
 */
import { createRequire } from 'node:module';

/** The part of `cap` in use; it brings no types. */
interface CapModule {
  readonly Cap: new () => CapHandle;
}

interface CapHandle {
  /** @returns the name of a link type */
  open(device: string, filter: string, ringBytes: number, buffer: Buffer): string;
  on(event: 'packet', listener: (bytes: number, isCut: boolean) => void): void;
  send(frame: Buffer): void;
  close(): void;
}

/** Names that `cap` has for link types, as LINKTYPE_ values. */
const linkTypes: Readonly<Record<string, number>> = {
  NULL: 0,
  ETHERNET: 1,
  RAW: 101,
  LINKTYPE_LINUX_SLL: 113,
};

/**
 * All that were ever made, a few hundred bytes each. `cap` frees a handle with the libuv watcher inside that uv_close was
 * never called for, so that the event loop goes on to write where it was; and one that could not be opened with a watcher
 * that was never begun. What is kept is never freed.
 */
const handles: CapHandle[] = [];

function newHandle(): CapHandle {
  const handle = new (load().Cap)();
  handles.push(handle);
  return handle;
}

/** What `cap` captures of a packet at most; it does not tell how long a longer one was. */
export const SNAP_LENGTH = 65535;

/** Room for a burst between two turns of the event loop. */
const RING_BYTES = 16 * 1024 * 1024;

export interface LiveCaptureOptions {
  /** Of the caller's network namespace; `any` for all. */
  readonly interface: string;
  /** pcap-filter(7); everything by default. */
  readonly filter?: string;
}

/** An open capture; it receives until it is closed. */
export class LiveCapture implements Disposable {
  /** LINKTYPE_ value of every packet. */
  readonly linkType: number;
  readonly #handle: CapHandle;
  readonly #buffer: Buffer;

  /** @throws where the package is absent, the interface does not exist, the filter is wrong, or CAP_NET_RAW is missing */
  constructor({ interface: device, filter = '' }: LiveCaptureOptions) {
    this.#handle = newHandle();
    this.#buffer = Buffer.alloc(SNAP_LENGTH);
    let name: string;
    try {
      name = this.#handle.open(device, filter, RING_BYTES, this.#buffer);
    } catch (error) {
      throw new Error(`${device}: ${reason(error as Error, filter)}`);
    }
    const linkType = linkTypes[name];
    if (linkType === undefined) {
      this.#handle.close();
      throw new Error(
        `${device}: ${name}: only Ethernet, raw IP, loopback and Linux cooked interfaces can be captured`,
      );
    }
    this.linkType = linkType;
  }

  /** The bytes are valid during the call only. */
  onPacket(listener: (data: Buffer) => void): void {
    this.#handle.on('packet', (bytes) => listener(this.#buffer.subarray(0, bytes)));
  }

  [Symbol.dispose](): void {
    this.#handle.close();
  }
}

/** Sends frames of an interface's link type as they are. The interface is promiscuous meanwhile, but no frame is taken in. */
export class FrameSender implements Disposable {
  readonly #handle: CapHandle;

  /** @throws as LiveCapture */
  constructor(device: string) {
    this.#handle = newHandle();
    try {
      // No frame is that short: none has to be taken in.
      this.#handle.open(device, 'less 1', SNAP_LENGTH, Buffer.alloc(SNAP_LENGTH));
    } catch (error) {
      throw new Error(`${device}: ${reason(error as Error, '')}`);
    }
  }

  /** @throws what the kernel says of the frame */
  send(frame: Uint8Array): void {
    this.#handle.send(Buffer.from(frame));
  }

  [Symbol.dispose](): void {
    this.#handle.close();
  }
}

function load(): CapModule {
  try {
    return createRequire(import.meta.url)('cap') as CapModule;
  } catch (error) {
    const [line] = (error as Error).message.split('\n');
    throw new Error(
      `capture needs the npm package cap, which is not built here (${line}): install libpcap's headers (Debian: libpcap-dev) and run npm run setup`,
    );
  }
}

/** libpcap says nothing at all where a device is missing or may not be opened. */
function reason({ message }: Error, filter: string): string {
  if (message.trim() !== '') return filter === '' ? message : `${message} (filter: ${filter})`;
  return 'cannot be captured: does it exist, and may you capture (root, or CAP_NET_RAW)?';
}
