// The clock of the data path.

const [seconds, nanoseconds] = process.hrtime();
const bootMs = seconds * 1000 + nanoseconds / 1e6 - performance.now();

/** Milliseconds of CLOCK_MONOTONIC, with their fraction. */
export const monotonic = (): number => bootMs + performance.now();

/** Milliseconds of CLOCK_MONOTONIC in 32 bits: goes on over a restart, as the flows' times must. */
export const clock = (now = monotonic()): number => now % 2 ** 32;
