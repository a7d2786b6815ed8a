/** The Ethernet header towards a TAP: this router to the interface behind it. */
import { PORT_MAC, TABLES_ROUTER_MAC } from '../layout/tables';
import { portRow } from '../table/snapshot';
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet } from '../wire/ethernet';
import { area } from '../worker';

/** Writes the addresses of a frame to the TAP of `port`; its type stays. */
export function etherAddress(at: usize, port: u32): void {
  const ethernet = Ethernet.at(at);
  ethernet.write(portRow(area, port) + PORT_MAC, area + TABLES_ROUTER_MAC, ethernet.type());
}

/** Writes the whole header before an IP packet. */
export function etherWrite(at: usize, version: u32, port: u32): void {
  const type = version === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6;
  Ethernet.at(at).write(portRow(area, port) + PORT_MAC, area + TABLES_ROUTER_MAC, type);
}
