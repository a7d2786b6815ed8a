/** The Ethernet header towards a TAP: this router to the interface behind it. */
import { PORT_MAC, TABLES_ROUTER_MAC } from '../layout/tables';
import { portRow } from '../table/snapshot';
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet } from '../wire/ethernet';
import { area } from '../worker';

/** Writes the addresses of a frame to the TAP of `port`. */
export function etherAddress(at: usize, port: u32): void {
  const ethernet = Ethernet.at(at);
  const row = portRow(area, port);
  ethernet.setDestination(load<u32>(row, PORT_MAC), <u32>load<u16>(row, PORT_MAC + 4));
  ethernet.setSource(load<u32>(area, TABLES_ROUTER_MAC), <u32>load<u16>(area, TABLES_ROUTER_MAC + 4));
}

/** Writes the whole header before an IP packet. */
export function etherWrite(at: usize, version: u32, port: u32): void {
  etherAddress(at, port);
  Ethernet.at(at).setType(version === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
}
