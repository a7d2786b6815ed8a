/**
 * JSON over HTTP/1.1 and TLS: whole documents, and streams of one document a line, as API servers and etcd's gateway
 * send them. Node's own `fetch` takes neither a client's certificate nor a cluster's own authority.
 */
import { type IncomingMessage, Agent as PlainAgent, request as plainRequest } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';

/** A peer that is gone without a word is found out after this and ten probes of a second each. */
const KEEPALIVE_MS = 15_000;
const ANSWER_MS = 30_000;
/** Of an answer that refuses, what is worth reading. */
const MOST_REFUSAL = 64 << 10;

/** PEM. */
export interface Tls {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly servername?: string | undefined;
  /** Takes any certificate of the server. */
  readonly insecure?: boolean | undefined;
}

export interface Request {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With its query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
  readonly signal: AbortSignal;
}

/** An answer with a status that refuses. */
export class HttpFault extends Error {
  override readonly name = 'HttpFault';
  readonly status: number;
  /** Milliseconds after which the server would be asked again; undefined: it does not say. */
  readonly retryAfter: number | undefined;

  constructor(status: number, message: string, retryAfter?: number) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** One server. */
export class JsonHttp {
  readonly #url: URL;
  readonly #agent: PlainAgent | TlsAgent;

  /** @param url `http:` or `https:`; its path goes before those of requests */
  constructor(url: string, { insecure, ...tls }: Tls = {}) {
    this.#url = new URL(url);
    const settings = { keepAlive: true, keepAliveMsecs: KEEPALIVE_MS };
    this.#agent =
      this.#url.protocol === 'https:'
        ? new TlsAgent({ ...settings, ...defined(tls), rejectUnauthorized: insecure !== true })
        : new PlainAgent(settings);
  }

  /**
   * @returns the document of the answer
   * @throws HttpFault; Error of the network, or of an answer that is no JSON
   */
  async ask(request: Request): Promise<unknown> {
    const signal = AbortSignal.any([request.signal, AbortSignal.timeout(ANSWER_MS)]);
    const headers = { ...request.headers, 'accept-encoding': 'gzip' };
    const text = await textOf(await this.#open({ ...request, headers, signal }));
    return text === '' ? undefined : JSON.parse(text);
  }

  /**
   * Documents of a stream as they come, until the server ends it.
   * @returns when the server has begun to answer
   * @throws as `ask`
   */
  async stream(request: Request): Promise<AsyncGenerator<unknown, void>> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new Error('the server does not answer')), ANSWER_MS);
    const signal = AbortSignal.any([request.signal, late.signal]);
    return documents(await this.#open({ ...request, signal }).finally(() => clearTimeout(timer)));
  }

  close(): void {
    this.#agent.destroy();
  }

  async #open({ method, path, headers, body, signal }: Request): Promise<IncomingMessage> {
    const data = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const send = this.#url.protocol === 'https:' ? tlsRequest : plainRequest;
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = send(`${this.#url.origin}${this.#url.pathname.replace(/\/$/, '')}${path}`, {
        method,
        agent: this.#agent,
        signal,
        headers: {
          accept: 'application/json',
          ...(data && { 'content-type': 'application/json', 'content-length': data.length }),
          ...headers,
        },
      });
      sent.on('error', (error) => reject(signal.aborted ? asError(signal.reason) : error));
      sent.on('response', resolve);
      sent.end(data);
    });
    const { statusCode = 0 } = response;
    if (statusCode >= 200 && statusCode < 300) return response;
    const text = await textOf(response, MOST_REFUSAL).catch(() => '');
    const wait = Number(response.headers['retry-after']) * 1000;
    throw new HttpFault(
      statusCode,
      `${statusCode}: ${messageOf(text) || response.statusMessage}`,
      Number.isFinite(wait) ? wait : undefined,
    );
  }
}

/** One a line. */
async function* documents(response: IncomingMessage): AsyncGenerator<unknown, void> {
  response.setEncoding('utf8');
  let rest = '';
  for await (const chunk of response as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line);
  }
}

async function textOf(response: IncomingMessage, most = Number.POSITIVE_INFINITY): Promise<string> {
  const isZipped = response.headers['content-encoding'] === 'gzip';
  const body: Readable = isZipped ? response.pipe(createGunzip()) : response;
  // What breaks off before it is unzipped ends both.
  if (isZipped) response.on('error', (error) => body.destroy(error));
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > most) break;
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** What a server says of a refusal: the message of a Kubernetes Status or of a gRPC gateway, or its text. */
function messageOf(text: string): string {
  try {
    const { message, error } = JSON.parse(text) as { message?: unknown; error?: unknown };
    return String(message ?? error ?? text);
  } catch {
    return text.trim().split('\n')[0] ?? '';
  }
}

const asError = (reason: unknown): Error => (reason instanceof Error ? reason : new Error(String(reason)));

const defined = (fields: object) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
