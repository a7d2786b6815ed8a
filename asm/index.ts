/** The ABI of the data path: every export, nothing else. */
export {
  cidrPut,
  endpointPut,
  peerPut,
  portRow,
  routePut,
  tablesAlloc,
  tablesBegin,
  tunnelRow,
} from './table/snapshot';
