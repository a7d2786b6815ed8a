/** The ABI of the data path: every export, nothing else. */
export { inspect } from './inspect/inspect';
export { egress } from './path/egress';
export { ingress } from './path/ingress';
export { shape } from './stage/shape';
export { flowsCount, flowsOpen } from './table/flow';
export { policyCell } from './table/policy';
export { frontendFind, frontendPut, frontendRemove, frontendsAlloc, slotOf } from './table/service';
export {
  cidrFind,
  endpointFind,
  endpointPut,
  endpointRemove,
  endpointsCount,
  peerPut,
  peersClear,
  portRow,
  routeFind,
  tablesAlloc,
  tablesBegin,
  tunnelRow,
} from './table/snapshot';
export { sweep } from './table/sweep';
export { settle } from './transmit/settle';
export { sum, sumReference, updated16, updated32 } from './wire/checksum';
export { workerInit } from './worker';
