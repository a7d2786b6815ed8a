/**
 * Health-check node ports: on each of them a load balancer asks whether this node has endpoints of one Service. Only
 * the node's own processes answer here, never the data path.
 */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import type { CompiledService } from '../../service/compile.ts';
import { healthAnswer } from '../../service/health.ts';
import { publicServer } from '../public-server.ts';

/** Between two tries of a port that somebody else has. */
const RETRY_MS = 5_000;

export interface HealthCheckState {
  /** `namespace/name`. */
  readonly service: string;
  readonly port: number;
  /** Why nobody answers there; null: this node does. */
  readonly fault: string | null;
}

interface Listener {
  service: CompiledService;
  server: Server | undefined;
  fault: string | undefined;
}

export class HealthChecks {
  readonly #log: Logger;
  readonly #isHealthy: () => boolean;
  /** By port. */
  readonly #listeners = new Map<number, Listener>();
  readonly #retry: NodeJS.Timeout;

  /** @param isHealthy whether what the data path does is what the cluster says */
  constructor(isHealthy: () => boolean, log: Logger) {
    this.#isHealthy = isHealthy;
    this.#log = log;
    this.#retry = setInterval(() => this.#open(), RETRY_MS);
  }

  get state(): HealthCheckState[] {
    return [...this.#listeners].map(([port, { service, fault }]) => ({
      service: service.key,
      port,
      fault: fault ?? null,
    }));
  }

  /** Opens ports that are asked for, closes those that no longer are, and answers what is so now on the others. */
  apply(services: Iterable<CompiledService>): void {
    const wanted = new Map<number, CompiledService>();
    for (const service of services)
      if (service.healthCheckNodePort > 0) wanted.set(service.healthCheckNodePort, service);
    for (const [port, { server }] of this.#listeners) {
      if (wanted.has(port)) continue;
      this.#listeners.delete(port);
      close(server);
    }
    for (const [port, service] of wanted) {
      const listener = this.#listeners.get(port);
      if (listener) listener.service = service;
      else this.#listeners.set(port, { service, server: undefined, fault: undefined });
    }
    this.#open();
  }

  stop(): void {
    clearInterval(this.#retry);
    for (const { server } of this.#listeners.values()) close(server);
    this.#listeners.clear();
  }

  #open(): void {
    for (const [port, listener] of this.#listeners) if (!listener.server) this.#listen(port, listener);
  }

  #listen(port: number, listener: Listener): void {
    const server = publicServer((_, response) => {
      const { status, body } = healthAnswer(listener.service, this.#isHealthy());
      response.writeHead(status, {
        'content-type': 'application/json',
        'x-content-type-options': 'nosniff',
        'x-load-balancing-endpoint-weight': `${body.localEndpoints}`,
      });
      response.end(JSON.stringify(body));
    });
    listener.server = server;
    server.once('error', (error) => {
      listener.server = undefined;
      const { key } = listener.service;
      const fault = `Service ${key}: healthCheckNodePort ${port} cannot be opened: ${error.message}`;
      if (fault !== listener.fault) this.#log.warn(fault);
      listener.fault = fault;
    });
    server.once('listening', () => {
      listener.fault = undefined;
      this.#log.debug(
        { service: listener.service.key, ...(server.address() as AddressInfo) },
        'health check',
      );
    });
    // Without a host: every address of both families that the node has.
    server.listen(port);
  }
}

function close(server: Server | undefined): void {
  server?.close();
  server?.closeAllConnections();
}
