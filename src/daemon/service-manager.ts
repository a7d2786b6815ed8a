/**
 * What a service manager is told: sd_notify(3). Without $NOTIFY_SOCKET nobody is.
 *
 * The watchdog is fed only while the workers answer, so that a daemon whose data path hangs is started anew.
 */
import type { Logger } from 'pino';
import type { Addon } from '../phy/addon.ts';
import type { Health } from './health.ts';

/** Where no watchdog asks for more. */
const STATUS_MS = 10_000;

export interface ServiceManagerParts {
  readonly addon: Pick<Addon, 'notify'>;
  readonly environment: NodeJS.ProcessEnv;
  readonly health: Pick<Health, 'live'>;
  /** One line of what the daemon has. */
  readonly summary: () => string;
  readonly log: Logger;
}

export class ServiceManager {
  readonly #parts: ServiceManagerParts;
  readonly #socket: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: ServiceManagerParts) {
    this.#parts = parts;
    this.#socket = parts.environment.NOTIFY_SOCKET;
  }

  /** The daemon serves pods; from now on its state is told at intervals. */
  ready(): void {
    this.#send('READY=1', `STATUS=${this.#parts.summary()}`);
    if (this.#socket === undefined) return;
    const watchdog = watchdogMs(this.#parts.environment);
    // Half of it, as sd_watchdog_enabled(3) advises.
    this.#timer = setInterval(() => void this.#beat(watchdog !== undefined), (watchdog ?? STATUS_MS * 2) / 2);
  }

  /** It starts, and cannot serve yet. */
  waiting(reason: string): void {
    this.#send(`STATUS=waiting: ${reason}`);
  }

  stopping(): void {
    clearInterval(this.#timer);
    this.#send('STOPPING=1', 'STATUS=stopping');
  }

  async #beat(isWatched: boolean): Promise<void> {
    const { ok, error } = await this.#parts.health.live();
    if (ok) this.#send(...(isWatched ? ['WATCHDOG=1'] : []), `STATUS=${this.#parts.summary()}`);
    else this.#send(`STATUS=${error}`);
  }

  /** One assignment a line, so none may hold a line break. */
  #send(...assignments: string[]): void {
    if (this.#socket === undefined) return;
    try {
      const text = assignments.map((one) => one.replaceAll('\n', ' ')).join('\n');
      this.#parts.addon.notify(this.#socket, text);
    } catch (error) {
      this.#parts.log.warn({ err: error }, 'the service manager cannot be told');
    }
  }
}

/** Milliseconds after which silence counts as a hang; undefined where nobody watches this process. */
function watchdogMs({ WATCHDOG_USEC, WATCHDOG_PID }: NodeJS.ProcessEnv): number | undefined {
  if (WATCHDOG_PID !== undefined && Number(WATCHDOG_PID) !== process.pid) return undefined;
  const microseconds = Number(WATCHDOG_USEC);
  return microseconds > 0 ? microseconds / 1000 : undefined;
}
