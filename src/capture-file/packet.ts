/** One packet as a capture file holds it. */
export interface CapturedPacket {
  /** LINKTYPE_ value, https://www.tcpdump.org/linktypes.html. */
  readonly linkType: number;
  /** What was captured; a view into the reader's buffer, valid until the next packet is asked for. */
  readonly data: Uint8Array;
  /** Bytes that the packet had when it was captured. */
  readonly original: number;
  /** Nanoseconds since 1970-01-01 UTC; null where the file tells none (simple packet block). */
  readonly time: bigint | null;
  /** Comments of the packet, in order (pcapng only). */
  readonly comments: readonly string[];
}

/**
 * Largest packet that a capture file may hold, the bound that libpcap and Wireshark keep: a longer one is taken for a
 * damaged length.
 */
export const MAX_CAPTURED = 262144;
