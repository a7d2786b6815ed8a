/**
 * The daemon's API: HTTP and JSON over a Unix socket that only its owner can open.
 *
 *     PUT    /v1/ports/{namespace}/{pod}   {"netns": PATH, "interface": "eth0"} → returns when the pod is live
 *     DELETE /v1/ports/{namespace}/{pod}   repeatable
 *     POST   /v1/cni                       a call of the CNI plugin, see src/cni/service.ts
 *     POST   /v1/connectivity              probes, see src/connectivity
 *     GET    /v1/status  /metrics  /livez  /readyz  /healthz
 */
import { chmodSync, rmSync } from 'node:fs';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Logger } from 'pino';
import type { CniAnswer } from '../cni/service.ts';
import { nameField } from '../config/fields.ts';
import { issuesOf } from '../config/issues.ts';
import type { Address } from '../net/address.ts';
import type { Health, Verdict } from './health.ts';
import { type PortPlace, portRequest } from './ports/port-file.ts';
import { PortError } from './ports/ports.ts';
import { publicServer } from './public-server.ts';

/** What the API is made of. */
export interface ApiHandlers {
  attach(place: PortPlace): Promise<object>;
  detach(key: string): Promise<boolean>;
  cni(call: unknown): Promise<CniAnswer>;
  connectivity(request: unknown): Promise<object>;
  status(): Promise<object>;
  metrics(): Promise<{ contentType: string; text: string }>;
  readonly health: Pick<Health, 'live' | 'ready' | 'healthy'>;
}

/** GC lists every container of the node, twice. */
const LARGEST_BODY = 1 << 20;

export class Api {
  readonly #handlers: ApiHandlers;
  readonly #log: Logger;
  readonly #servers: Server[] = [];
  #metrics: ReturnType<ApiHandlers['metrics']> | undefined;

  constructor(handlers: ApiHandlers, log: Logger) {
    this.#handlers = handlers;
    this.#log = log;
  }

  /** Takes the place of a socket that a predecessor left. */
  async listen(socket: string): Promise<void> {
    rmSync(socket, { force: true });
    const answer = this.#answering((request) => this.#answer(request));
    await this.#start(createServer(answer), { path: socket });
    chmodSync(socket, 0o600);
  }

  /** Serves /metrics and what says whether the daemon works. */
  async listenMetrics({ address, port }: { address: Address; port: number }): Promise<void> {
    const answer = this.#answering((request) => this.#public(request));
    await this.#start(publicServer(answer), { host: address.text, port });
  }

  /** Serves only what says whether the daemon works. */
  async listenHealth({ address, port }: { address: Address; port: number }): Promise<void> {
    const answer = this.#answering((request) => this.#healthOnly(request));
    await this.#start(publicServer(answer), { host: address.text, port });
  }

  async close(): Promise<void> {
    await Promise.all(
      this.#servers.map(
        (server) =>
          new Promise<void>((resolve) => {
            server.close(() => resolve());
            server.closeAllConnections();
          }),
      ),
    );
  }

  #answering(answer: (request: IncomingMessage) => Promise<Answer>): RequestListener {
    return (request, response) => {
      answer(request)
        .catch((error: unknown) => this.#refusal(request, error))
        .then((result) => send(response, result))
        .catch((error: unknown) => this.#log.debug({ err: error }, 'an API client has gone'));
    };
  }

  #start(server: Server, where: { path: string } | { host: string; port: number }): Promise<void> {
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(where, () => resolve());
    });
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    const pathname = pathOf(request);
    if (request.method === 'GET' && pathname === '/v1/status')
      return { status: 200, json: await this.#handlers.status() };
    if (request.method === 'POST' && pathname === '/v1/connectivity') {
      return { status: 200, json: await this.#handlers.connectivity(parseJson(await readBody(request))) };
    }
    if (request.method === 'POST' && pathname === '/v1/cni') {
      const { status, json, delegate } = await this.#handlers.cni(parseJson(await readBody(request)));
      return { status, json, headers: delegate === undefined ? {} : { 'overweft-delegate': delegate } };
    }
    const [, namespace, pod] = /^\/v1\/ports\/([^/]+)\/([^/]+)$/.exec(pathname) ?? [];
    if (namespace === undefined || pod === undefined) return this.#public(request);
    for (const name of [namespace, pod]) {
      if (!nameField.safeParse(name).success) throw new PortError(400, `${name} is no Kubernetes name`);
    }
    if (request.method === 'PUT') {
      const place = { ...parseRequest(await readBody(request)), namespace, pod };
      return { status: 200, json: await this.#handlers.attach(place) };
    }
    if (request.method === 'DELETE') {
      return { status: 200, json: { detached: await this.#handlers.detach(`${namespace}/${pod}`) } };
    }
    return { status: 405, json: { error: `${request.method}: must be PUT or DELETE` } };
  }

  async #public(request: IncomingMessage): Promise<Answer> {
    if (pathOf(request) !== '/metrics' || request.method !== 'GET') return this.#healthOnly(request);
    // Those who ask at the same time share one look: it goes through all ports, peers and decisions.
    this.#metrics ??= this.#handlers.metrics().finally(() => {
      this.#metrics = undefined;
    });
    return { status: 200, ...(await this.#metrics) };
  }

  async #healthOnly(request: IncomingMessage): Promise<Answer> {
    if (request.method !== 'GET') return { status: 405, json: { error: `${request.method}: must be GET` } };
    const { health } = this.#handlers;
    const path = pathOf(request);
    switch (path) {
      case '/livez':
        return verdict(await health.live());
      case '/readyz':
        return verdict(health.ready());
      case '/healthz':
        return verdict(await health.healthy());
      default:
        return { status: 404, json: { error: `${path}: no such resource` } };
    }
  }

  #refusal(request: IncomingMessage, error: unknown): Answer {
    const { message } = error as Error;
    const status = error instanceof PortError ? error.status : 500;
    this.#log.warn({ err: error, method: request.method, url: request.url }, 'request refused');
    return { status, json: { error: message } };
  }
}

type Answer =
  | {
      readonly status: number;
      /** Undefined: an empty body. */
      readonly json: object | undefined;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | { readonly status: number; readonly contentType: string; readonly text: string };

/** Not by URL, which throws where a stranger sends nonsense. */
const pathOf = ({ url = '/' }: IncomingMessage): string => url.split('?', 1)[0] ?? '/';

const verdict = (json: Verdict): Answer => ({ status: json.ok ? 200 : 503, json });

function send(response: ServerResponse, answer: Answer): void {
  if ('json' in answer) {
    response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers });
    response.end(answer.json && `${JSON.stringify(answer.json)}\n`);
  } else {
    response.writeHead(answer.status, { 'content-type': answer.contentType });
    response.end(answer.text);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new PortError(400, `the body is no JSON: ${(error as Error).message}`);
  }
}

function parseRequest(text: string) {
  const result = portRequest.safeParse(parseJson(text));
  if (result.success) return result.data;
  throw new PortError(
    400,
    issuesOf(result.error)
      .map(({ path, message }) => `${path}: ${message}`)
      .join('; '),
  );
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > LARGEST_BODY) throw new PortError(413, `the body is longer than ${LARGEST_BODY} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
