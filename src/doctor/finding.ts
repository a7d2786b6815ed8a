// What a check of the host has found, and what to do about it.
import type { Config } from '../config/schema.ts';
import type { Addon } from '../phy/addon.ts';

/** `error`: something does not work; `warning`: something works worse than it could, or soon will not; `note`: good to know. */
export type Severity = 'ok' | 'note' | 'warning' | 'error';

export interface Finding {
  /** Name of the check. */
  readonly check: string;
  readonly severity: Severity;
  readonly message: string;
  /** What to do; null where nothing is to be done. */
  readonly advice: string | null;
}

/** What is checked. */
export interface Subject {
  readonly config: Config;
  /** False: the configuration is made of defaults, and says nothing of this node. */
  readonly isConfigured: boolean;
  readonly addon: Addon;
  /** Process id of the daemon that runs on `config.runDirectory`; undefined where none does. */
  readonly daemon: number | undefined;
  /** Where runtimes look for plugins. */
  readonly binDirectory: string;
}

export type Check = (subject: Subject) => Finding[] | Promise<Finding[]>;

export const ok = (check: string, message: string): Finding => ({
  check,
  severity: 'ok',
  message,
  advice: null,
});

export const finding = (
  severity: Exclude<Severity, 'ok'>,
  check: string,
  message: string,
  advice: string | null = null,
): Finding => ({ check, severity, message, advice });
