/**
 * Service affinity: the endpoint that a client keeps, for as long after its last new connection as the Service says.
 *
 *     client, cluster IP, port, protocol ──► entry of the flow table ──► endpoint
 *
 * Without an entry the client's hash decides, the same way on every node; the entry matters where endpoints have come since. It
 * lies with the connections, so that all workers share it and it outlives the daemon, and gives way to them when
 * the table is full.
 */
import {
  AFFINITY_PROTOCOL,
  FLOW_FLAG_AFFINITY,
  FLOW_FLAGS,
  FLOW_SEEN,
  FRONT_TRANSLATION,
  TRANSLATION_DESTINATION,
  TRANSLATION_HINT,
  TRANSLATION_KEEP,
  TRANSLATION_PORTS,
} from '../layout/flows';
import { WORKER_PACKETS } from '../layout/memory';
import { PACKET_SCRATCH } from '../layout/packet';
import { BACKEND_PORT, POOL_AFFINITY, POOL_KEY, POOL_KEY_PORT, POOL_USED_COUNT } from '../layout/services';
import { Packet } from '../packet';
import { flowClaim, flowFind, flowPublish, flowStart } from '../table/flow';
import { backendAt, backendFind, backendFor } from '../table/service';
import { copyAddress } from '../wire/address';
import { base, now } from '../worker';
import { hashFlow } from './parse';

/** Place of the backend for a new connection of `client` to a pool with affinity, which is remembered. */
export function affinePlace(pool: usize, client: usize): u32 {
  const key = Packet.at(base + WORKER_PACKETS + PACKET_SCRATCH);
  copyAddress(key.source(), client);
  copyAddress(key.destination(), pool + POOL_KEY);
  key.setPortPair(load<u32>(pool, POOL_KEY_PORT));
  key.setProtocol(AFFINITY_PROTOCOL);
  key.setFlags(0);
  hashFlow(key);
  let entry = flowFind(key);
  const row = entry + FRONT_TRANSLATION;
  if (entry !== 0 && now - load<u32>(entry, FLOW_SEEN) <= load<u32>(row, TRANSLATION_KEEP)) {
    const place = backendFind(
      pool,
      row + TRANSLATION_DESTINATION,
      load<u32>(row, TRANSLATION_PORTS) >> 16,
      load<u32>(row, TRANSLATION_HINT),
    );
    // One that only drains gets nothing new.
    if (place < load<u32>(pool, POOL_USED_COUNT)) {
      keep(entry, pool, place);
      return place;
    }
  }
  const place = backendFor(pool, client, 0);
  if (entry !== 0) {
    keep(entry, pool, place);
    return place;
  }
  entry = flowClaim(key);
  if (entry === 0) return place;
  flowStart(entry, key);
  store<u16>(entry, <u16>FLOW_FLAG_AFFINITY, FLOW_FLAGS);
  keep(entry, pool, place);
  flowPublish(entry, key);
  return place;
}

function keep(entry: usize, pool: usize, place: u32): void {
  const row = entry + FRONT_TRANSLATION;
  const backend = backendAt(pool, place);
  copyAddress(row + TRANSLATION_DESTINATION, backend);
  store<u32>(row, (<u32>load<u16>(backend, BACKEND_PORT)) << 16, TRANSLATION_PORTS);
  store<u32>(row, place, TRANSLATION_HINT);
  store<u32>(row, load<u32>(pool, POOL_AFFINITY), TRANSLATION_KEEP);
  store<u32>(entry, now, FLOW_SEEN);
}
