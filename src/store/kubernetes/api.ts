/**
 * The API server over HTTP.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/
 */
import { HttpFault, JsonHttp, type Request, type Tls } from '../http.ts';
import type { ApiAccess } from './access.ts';

export class ApiServer {
  readonly server: string;
  readonly #access: ApiAccess;
  #http: { readonly tls: Tls; readonly client: JsonHttp } | undefined;

  /** @param server URL instead of the one that `access` has */
  constructor(access: ApiAccess, server = access.server) {
    this.server = server;
    this.#access = access;
  }

  /** @throws HttpFault; Error of the network, or of a file of the access */
  ask(request: Request): Promise<unknown> {
    return this.#client().ask(this.#signed(request));
  }

  /** @throws as `ask` */
  stream(request: Request): Promise<AsyncGenerator<unknown, void>> {
    return this.#client().stream(this.#signed(request));
  }

  close(): void {
    this.#http?.client.close();
  }

  /** Another one where certificates are others than before; what runs on the old one ends by itself. */
  #client(): JsonHttp {
    const tls = this.#access.tls();
    if (JSON.stringify(tls) !== JSON.stringify(this.#http?.tls))
      this.#http = { tls, client: new JsonHttp(this.server, tls) };
    return (this.#http as { readonly client: JsonHttp }).client;
  }

  #signed(request: Request): Request {
    const token = this.#access.token();
    if (token === undefined) return request;
    return { ...request, headers: { ...request.headers, authorization: `Bearer ${token}` } };
  }
}

/** The server no longer has, or does not have, what was asked for. */
export const isStatus = (error: unknown, status: number): boolean =>
  error instanceof HttpFault && error.status === status;
