import type { CapturedPacket } from './packet.ts';
import { isPcap, readPcap } from './pcap.ts';
import { isPcapng, readPcapng } from './pcapng.ts';
import { ByteSource } from './source.ts';

/**
 * The packets of a capture file in order: pcap or pcapng, told by its first word, compressed with gzip or not.
 * @throws CaptureFileError at the first damage, after every packet before it; the system's error when the file cannot
 * be opened or read
 */
export function* readCapture(file: string): Generator<CapturedPacket, void, undefined> {
  using source = new ByteSource(file);
  const found = source.available(4);
  if (found < 4) throw source.damage(0, `${found} bytes are no capture file; right are pcap and pcapng`);
  const magic = source.peek(4).readUInt32BE(0);
  if (isPcapng(magic)) yield* readPcapng(source);
  else if (isPcap(magic)) yield* readPcap(source);
  else
    throw source.damage(
      0,
      `${source.peek(4).toString('hex')} opens no capture file; right are pcap and pcapng`,
    );
}
