// Why a CNI command fails, as a runtime reads it (CNI specification 1.1.0, section 5 "Error").

export const codes = {
  unsupportedField: 2,
  unknownContainer: 3,
  invalidEnvironment: 4,
  decodingFailure: 6,
  invalidConfig: 7,
  tryAgainLater: 11,
  unavailable: 50,
  limitedConnectivity: 51,
  /** From here on they are Overweft's own: no address is left, */
  addressesUsedUp: 100,
  /** a requested address is another pod's, */
  addressTaken: 101,
  /** the container has an interface of that name already, */
  interfaceExists: 102,
  /** the node has as many pods as it has ports, */
  portsUsedUp: 103,
  /** CHECK has found that the pod's network is not as ADD left it, */
  notAsAdded: 104,
  /** a port of the node is another pod's. */
  hostPortTaken: 105,
  internal: 999,
} as const;

export class CniError extends Error {
  override readonly name = 'CniError';
  readonly code: number;
  readonly details: string;

  constructor(code: number, message: string, details = '') {
    super(message);
    this.code = code;
    this.details = details;
  }
}
