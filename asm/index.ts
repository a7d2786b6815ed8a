/** The ABI of the data path: every export, nothing else. */
export { flowsCount, flowsOpen } from './table/flow';
export {
  cidrFind,
  cidrPut,
  endpointFind,
  endpointPut,
  peerPut,
  portRow,
  routeFind,
  routePut,
  tablesAlloc,
  tablesBegin,
  tunnelRow,
} from './table/snapshot';
export { sum, sumReference, updated16, updated32 } from './wire/checksum';
export { workerInit } from './worker';
