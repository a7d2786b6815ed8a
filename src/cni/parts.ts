// What the commands work with.
import type { Logger } from 'pino';
import type { Config } from '../config/schema.ts';
import type { Controller } from '../daemon/controller.ts';
import type { ServicesOutside } from '../daemon/outside/services-outside.ts';
import type { Ports } from '../daemon/ports/ports.ts';
import type { Ledger } from '../ipam/ledger.ts';
import type { Store } from '../store/store.ts';

export interface CniParts {
  readonly config: Config;
  readonly store: Store;
  readonly controller: Controller;
  readonly ports: Ports;
  readonly ledger: Ledger;
  readonly outside: ServicesOutside;
  readonly log: Logger;
}
