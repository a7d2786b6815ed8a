/** What a translated packet was when it came: a row for each packet of the vector, of TRANSLATION_SIZE as in the flow table. */
import { TRANSLATION_SIZE } from '../layout/flows';
import { WORKER_PACKETS, WORKER_TRANSLATIONS } from '../layout/memory';
import { PACKET_SIZE } from '../layout/packet';
import { Packet } from '../packet';
import { base } from '../worker';

export function receivedOf(packet: Packet): usize {
  const row = changetype<usize>(packet) - base - WORKER_PACKETS;
  return base + WORKER_TRANSLATIONS + (row / PACKET_SIZE) * TRANSLATION_SIZE;
}
