// Why no address can be had.

export class AddressError extends Error {
  override readonly name = 'AddressError';
  /** `resting`: a matter of seconds. */
  readonly reason: 'used up' | 'resting' | 'taken' | 'unusable';

  constructor(reason: AddressError['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

/** @param seconds until it ends */
export const isInQuarantine = (what: string, seconds: number): AddressError =>
  new AddressError('resting', `${what}: released a moment ago, free in ${Math.ceil(seconds)} s`);
