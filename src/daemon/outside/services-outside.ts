/**
 * Services as the world outside the cluster sees them:
 *
 *     compiled Services ─┬─► divert          which packets the data path takes from the kernel
 *                        ├─► health checks   which nodes a load balancer should choose
 *                        └─► announcer       which node speaks for a load balancer's address
 */
import type { Logger } from 'pino';
import type { Config } from '../../config/schema.ts';
import type { Protocol } from '../../control/object-fields.ts';
import { localPorts, sharedPorts } from '../../host/local-ports.ts';
import type { Address } from '../../net/address.ts';
import type { CompiledService } from '../../service/compile.ts';
import { knocksOf } from '../../service/outside.ts';
import type { Frontend } from '../../service/ports.ts';
import type { Controller } from '../controller.ts';
import type { Liveness } from '../peers/liveness.ts';
import { Announcer, type AnnounceState } from './announce.ts';
import { Divert, type DivertState } from './divert.ts';
import { type HealthCheckState, HealthChecks } from './health-check.ts';

export interface OutsideState {
  readonly divert: DivertState;
  readonly healthChecks: readonly HealthCheckState[];
  readonly announced: AnnounceState;
}

export class ServicesOutside {
  readonly #config: Config;
  readonly #controller: Controller;
  readonly #divert: Divert;
  readonly #healthChecks: HealthChecks;
  readonly #announcer: Announcer;
  readonly #log: Logger;
  /** Addresses that this node speaks for. */
  #reserved: readonly Address[] = [];

  constructor(config: Config, controller: Controller, liveness: Liveness, log: Logger) {
    this.#config = config;
    this.#log = log;
    this.#controller = controller;
    this.#divert = new Divert(log);
    this.#healthChecks = new HealthChecks(() => controller.fault === undefined, log);
    const reserve = async (addresses: readonly Address[]) => {
      this.#reserved = addresses;
      await this.#take();
      const { fault } = this.#divert.state;
      if (fault !== null) throw new Error(fault);
    };
    this.#announcer = new Announcer({ config, controller, liveness, log, reserve });
  }

  get state(): OutsideState {
    return {
      divert: this.#divert.state,
      healthChecks: this.#healthChecks.state,
      announced: this.#announcer.state,
    };
  }

  start(): void {
    const shared = sharedPorts(this.#config.services.sourcePorts, localPorts());
    if (shared) this.#log.warn({ advice: shared.advice }, shared.message);
    this.#announcer.start();
  }

  /** Brings all of it to what is live. */
  async follow(): Promise<void> {
    const { live } = this.#controller;
    if (!live) return;
    this.#healthChecks.apply(live.desired.services.services.values());
    await this.#take();
    await this.#announcer.beat();
  }

  /** Looks again at what the host may have changed. */
  check(): Promise<void> {
    return this.#divert.check();
  }

  /** Whether what arrives for a Service, or for the host ports of a pod, is led to the data path. */
  leads(service: CompiledService): Promise<boolean> {
    const { frontends } = knocksOf([service], [], (protocol, frontend) => this.#isOwn(protocol, frontend));
    return this.#divert.has(frontends);
  }

  async stop(): Promise<void> {
    this.#healthChecks.stop();
    await this.#announcer.stop();
  }

  async #take(): Promise<void> {
    const { live } = this.#controller;
    if (!live) return;
    const { services } = live.desired.services;
    const knocks = knocksOf(services.values(), this.#reserved, (protocol, frontend) =>
      this.#isOwn(protocol, frontend),
    );
    await this.#divert.apply(knocks, live.desired.node.routerMac);
  }

  /** Tunnels end there: a Service must not cut the node off. */
  #isOwn(protocol: Protocol, { address, port }: Frontend): boolean {
    const { ports, underlay } = this.#config;
    return (
      protocol === 'UDP' &&
      (port === ports.vxlan || port === ports.geneve) &&
      underlay.addresses.some(({ text }) => text === address.text)
    );
  }
}
