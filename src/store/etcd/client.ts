/**
 * etcd's v3 API as its gRPC gateway speaks it: JSON over HTTP, keys and values in base64, 64-bit integers as strings.
 * https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/
 */
import { HttpFault, JsonHttp, type Tls } from '../http.ts';

/** What a range and an event hold. */
export interface KeyValue {
  readonly key: string;
  readonly value: string;
  /** Revision of the last change of the key. */
  readonly revision: string;
}

export interface Range {
  readonly items: readonly KeyValue[];
  /** Of the store when it was read. */
  readonly revision: string;
  readonly hasMore: boolean;
}

/** `compacted`: what happened since the revision asked for is no longer known. */
export type WatchAnswer =
  | { readonly type: 'events'; readonly events: readonly WatchEvent[]; readonly revision: string }
  | { readonly type: 'created'; readonly revision: string }
  | { readonly type: 'compacted' };

type WatchEvent =
  | ({ readonly type: 'put' } & KeyValue)
  | { readonly type: 'delete'; readonly key: string; readonly revision: string };

export interface EtcdAccess {
  readonly endpoints: readonly string[];
  readonly tls: Tls;
  readonly credentials: { readonly name: string; readonly password: string } | undefined;
}

/** gRPC status codes, google.rpc.Code. */
const OUT_OF_RANGE = /compacted/;
const UNAUTHENTICATED = 401;

export class EtcdClient {
  readonly #servers: readonly JsonHttp[];
  readonly #credentials: EtcdAccess['credentials'];
  #turn = 0;
  #token: string | undefined;

  constructor({ endpoints, tls, credentials }: EtcdAccess) {
    this.#servers = endpoints.map((endpoint) => new JsonHttp(endpoint, tls));
    this.#credentials = credentials;
  }

  /**
   * Keys from one on, up to another one without it.
   * @param at revision at which to read; undefined: the newest
   * @throws Compacted when the revision is no longer known
   */
  async range(
    from: string,
    end: string,
    { limit, at, signal }: { limit: number; at: string | undefined; signal: AbortSignal },
  ): Promise<Range> {
    const body = { key: base64(from), range_end: base64(end), limit, ...(at && { revision: at }) };
    const { header, kvs = [], more = false } = (await this.#ask('/v3/kv/range', body, signal)) as RangeAnswer;
    return { items: kvs.map(keyValueOf), revision: header.revision, hasMore: more };
  }

  /** What one key holds; undefined: nothing. */
  async get(key: string, signal: AbortSignal): Promise<KeyValue | undefined> {
    const { kvs = [] } = (await this.#ask('/v3/kv/range', { key: base64(key) }, signal)) as RangeAnswer;
    return kvs[0] && keyValueOf(kvs[0]);
  }

  /**
   * Writes a key unless somebody else has changed it.
   * @param revision of the last change that the writer knows of, `0` where there is no such key
   * @returns whether it is written
   */
  async putIf(key: string, value: string, revision: string, signal: AbortSignal): Promise<boolean> {
    const body = {
      compare: [{ key: base64(key), target: 'MOD', result: 'EQUAL', mod_revision: revision }],
      success: [{ request_put: { key: base64(key), value: base64(value) } }],
    };
    const { succeeded = false } = (await this.#ask('/v3/kv/txn', body, signal)) as { succeeded?: boolean };
    return succeeded;
  }

  /** Writes a key that goes with a lease. */
  async putLeased(key: string, value: string, lease: string, signal: AbortSignal): Promise<void> {
    await this.#ask('/v3/kv/put', { key: base64(key), value: base64(value), lease }, signal);
  }

  /** @returns the lease, for so many seconds at least */
  async grant(seconds: number, signal: AbortSignal): Promise<string> {
    const { ID } = (await this.#ask('/v3/lease/grant', { TTL: seconds }, signal)) as { ID: string };
    return ID;
  }

  /** @returns whether the lease still runs, anew from now on */
  async keepAlive(lease: string, signal: AbortSignal): Promise<boolean> {
    const { result } = (await this.#ask('/v3/lease/keepalive', { ID: lease }, signal)) as {
      result?: { TTL?: string };
    };
    return Number(result?.TTL ?? 0) > 0;
  }

  async revoke(lease: string, signal: AbortSignal): Promise<void> {
    await this.#ask('/v3/lease/revoke', { ID: lease }, signal);
  }

  /** What happens to keys from one on up to another one, from a revision on, until the server ends it. */
  async *watch(
    from: string,
    end: string,
    revision: string,
    signal: AbortSignal,
  ): AsyncGenerator<WatchAnswer, void> {
    const body = {
      create_request: {
        key: base64(from),
        range_end: base64(end),
        start_revision: revision,
        progress_notify: true,
      },
    };
    yield* this.#turns(async function* (server, headers) {
      const lines = await server.stream({ method: 'POST', path: '/v3/watch', body, headers, signal });
      for await (const line of lines) {
        const { result, error } = line as WatchLine;
        if (!result) throw new Error(error?.message ?? 'the watch is refused');
        const { header } = result;
        if (result.compact_revision !== undefined && result.compact_revision !== '0') {
          yield { type: 'compacted' };
          return;
        }
        if (result.canceled) throw new Error(result.cancel_reason || 'the watch is cancelled');
        if (result.created) yield { type: 'created', revision: header.revision };
        else yield { type: 'events', events: (result.events ?? []).map(eventOf), revision: header.revision };
      }
    });
  }

  close(): void {
    for (const server of this.#servers) server.close();
  }

  async #ask(path: string, body: object, signal: AbortSignal): Promise<unknown> {
    try {
      for await (const answer of this.#turns(async function* (server, headers) {
        yield await server.ask({ method: 'POST', path, body, headers, signal });
      }))
        return answer;
      return undefined;
    } catch (error) {
      if (error instanceof HttpFault && OUT_OF_RANGE.test(error.message)) throw new Compacted(error.message);
      throw error;
    }
  }

  /** Asks one server; what one does not answer, the next one is asked the next time. */
  async *#turns<T>(
    ask: (server: JsonHttp, headers: Record<string, string>) => AsyncIterable<T>,
  ): AsyncGenerator<T, void> {
    const turn = this.#turn;
    const server = this.#servers[turn % this.#servers.length];
    if (!server) throw new TypeError('no endpoint is configured');
    try {
      yield* ask(server, await this.#headers(server));
    } catch (error) {
      if (error instanceof HttpFault && error.status === UNAUTHENTICATED) this.#token = undefined;
      if (this.#turn === turn) this.#turn++;
      throw error;
    }
  }

  async #headers(server: JsonHttp): Promise<Record<string, string>> {
    if (!this.#credentials) return {};
    this.#token ??= await this.#authenticate(server, this.#credentials);
    return { authorization: this.#token };
  }

  async #authenticate(server: JsonHttp, credentials: object): Promise<string> {
    const { token } = (await server.ask({
      method: 'POST',
      path: '/v3/auth/authenticate',
      body: credentials,
      signal: new AbortController().signal,
    })) as { token: string };
    return token;
  }
}

/** A revision is older than what etcd keeps. */
export class Compacted extends Error {
  override readonly name = 'Compacted';
}

interface Header {
  readonly revision: string;
}

interface WireKeyValue {
  readonly key: string;
  readonly value?: string;
  readonly mod_revision: string;
}

interface RangeAnswer {
  readonly header: Header;
  readonly kvs?: readonly WireKeyValue[];
  readonly more?: boolean;
}

interface WatchLine {
  readonly error?: { readonly message?: string };
  readonly result?: {
    readonly header: Header;
    readonly created?: boolean;
    readonly canceled?: boolean;
    readonly cancel_reason?: string;
    readonly compact_revision?: string;
    readonly events?: readonly { readonly type?: 'PUT' | 'DELETE'; readonly kv: WireKeyValue }[];
  };
}

const keyValueOf = ({ key, value = '', mod_revision }: WireKeyValue): KeyValue => ({
  key: text(key),
  value: text(value),
  revision: mod_revision,
});

const eventOf = ({
  type = 'PUT',
  kv,
}: {
  readonly type?: 'PUT' | 'DELETE';
  readonly kv: WireKeyValue;
}): WatchEvent =>
  type === 'DELETE'
    ? { type: 'delete', key: text(kv.key), revision: kv.mod_revision }
    : { type: 'put', ...keyValueOf(kv) };

const base64 = (plain: string) => Buffer.from(plain, 'utf8').toString('base64');
const text = (encoded: string) => Buffer.from(encoded, 'base64').toString('utf8');
