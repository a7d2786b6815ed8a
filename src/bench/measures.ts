/** What is measured of a path, a number by name each. */
import { LabError } from '../lab/outcome.ts';
import { type Path, roundTrip, tcp, udp } from './traffic.ts';

export type Measure = (path: Path, windowMs: number) => Promise<Readonly<Record<string, number>>>;

/** `rate` in bit/s; `cpu` in seconds of any core of the machine for each 10⁹ bytes. */
export const bulkStream: Measure = async (path, windowMs) => {
  const { bytes, seconds, busySeconds } = await tcp(path, windowMs);
  return { rate: (bytes * 8) / seconds, cpu: busySeconds / (bytes / 1e9) };
};

/** `rate`: packets per second that arrive from a sender that does not hold back. */
export const unlimitedDatagrams =
  (flows: number): Measure =>
  async (path, windowMs) => {
    const { packets, seconds } = await udp(path, windowMs, { flows, rate: 0 });
    return { rate: packets / seconds };
  };

const tolerated = 0.01;
/** Two rates this near are one. */
const resolution = 1.06;
const firstGuess = 100_000;
const trials = 9;

/**
 * `rate`: the highest, in packets per second that arrive, of which at most one in a hundred is lost. Starts where the path
 * was found last time, moves by a quarter until the answer lies between two rates, then halves.
 */
export function highestRate(flows: number): Measure {
  const last = new Map<string, number>();
  return async (path, windowMs) => {
    const key = `${path.from} ${path.to}`;
    let carried = 0;
    let good: number | null = null;
    let bad: number | null = null;
    let rate = last.get(key) ?? firstGuess;
    for (let trial = 0; trial < trials && !(good && bad && bad / good < resolution); trial++) {
      const { sent, received, packets, seconds } = await udp(path, windowMs, { flows, rate });
      if (received >= sent * (1 - tolerated)) {
        carried = packets / seconds;
        good = rate;
        // A sender that cannot send more is the limit itself.
        if (carried < rate * 0.9) break;
      } else bad = rate;
      rate = good && bad ? Math.sqrt(good * bad) : good ? good * 1.25 : rate / 1.25;
    }
    if (!good)
      throw new LabError(`more than ${tolerated * 100} % lost even at ${Math.round(rate)} packets/s`);
    last.set(key, good);
    return { rate: carried };
  };
}

/** `p50` and `p99` in seconds. */
export const roundTrips =
  (options: Parameters<typeof roundTrip>[2]): Measure =>
  async (path, windowMs) => {
    const { p50, p99 } = await roundTrip(path, windowMs, options);
    return { p50, p99 };
  };
