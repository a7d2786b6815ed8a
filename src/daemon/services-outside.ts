/**
 * Services as the world outside the cluster sees them:
 *
 *     compiled Services ─► health checks   which nodes a load balancer should choose
 */
import type { Logger } from 'pino';
import type { Controller } from './controller.ts';
import { type HealthCheckState, HealthChecks } from './health-check.ts';

export class ServicesOutside {
  readonly #controller: Controller;
  readonly #healthChecks: HealthChecks;

  constructor(controller: Controller, log: Logger) {
    this.#controller = controller;
    this.#healthChecks = new HealthChecks(() => controller.fault === undefined, log);
  }

  get state(): { readonly healthChecks: readonly HealthCheckState[] } {
    return { healthChecks: this.#healthChecks.state };
  }

  /** Brings all of it to what is live. */
  follow(): void {
    const { live, services } = this.#controller;
    if (live) this.#healthChecks.apply([...services.services.values()]);
  }

  stop(): void {
    this.#healthChecks.stop();
  }
}
