/**
 * As much of a Kubernetes API server as node agents ask: lists, and watches that tell of what is changed here. It costs next
 * to nothing, so that what is measured is who asks.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ApiObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** What is served at one path, such as `/api/v1/services`. */
export interface Served {
  readonly apiVersion: string;
  /** Of the objects. */
  readonly kind: string;
  readonly items: readonly object[];
}

export interface BenchApiServer {
  readonly port: number;
  /** Puts an object in place of the one of its name, and tells all who watch. */
  change(path: string, object: ApiObject): void;
  close(): void;
}

/** Never changes without its watchers being told, so every list has the same revision. */
const revision = '1';

export async function serveObjects(
  paths: Readonly<Record<string, Served>>,
  address = '127.0.0.1',
  port = 0,
): Promise<BenchApiServer> {
  const items = new Map(Object.entries(paths).map(([path, served]) => [path, [...served.items]]));
  const watchers = new Map(Object.keys(paths).map((path) => [path, new Set<ServerResponse>()]));
  let changes = Number(revision);
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const served = paths[pathname];
    const refuse = (code: number, reason: string) => {
      response.statusCode = code;
      response.end(JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, code }));
    };
    response.setHeader('content-type', 'application/json');
    if (request.method !== 'GET') {
      // What agents say of themselves and of events is not kept.
      response.end('{}');
    } else if (pathname === '/version') {
      response.end(JSON.stringify({ major: '1', minor: '37', gitVersion: 'v1.37.1' }));
    } else if (!served) {
      refuse(404, 'NotFound');
    } else if (searchParams.has('sendInitialEvents')) {
      // The client lists instead.
      refuse(422, 'Invalid');
    } else if (searchParams.has('watch')) {
      response.writeHead(200);
      response.flushHeaders();
      watchers.get(pathname)?.add(response);
      response.on('close', () => watchers.get(pathname)?.delete(response));
    } else {
      const [, name] = /^metadata\.name=(.+)$/.exec(searchParams.get('fieldSelector') ?? '') ?? [];
      const { apiVersion, kind } = served;
      const all = (items.get(pathname) ?? []) as readonly ApiObject[];
      const wanted = name === undefined ? all : all.filter(({ metadata }) => metadata.name === name);
      const metadata = { resourceVersion: revision };
      response.end(JSON.stringify({ apiVersion, kind: `${kind}List`, metadata, items: wanted }));
    }
  });
  server.listen(port, address);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    change: (path, object) => {
      const list = (items.get(path) ?? []) as ApiObject[];
      const at = list.findIndex(({ metadata }) => metadata.name === object.metadata.name);
      const metadata = { ...object.metadata, resourceVersion: `${++changes}` };
      const changed: ApiObject = { ...object, metadata };
      list.splice(at < 0 ? list.length : at, 1, changed);
      const line = `${JSON.stringify({ type: at < 0 ? 'ADDED' : 'MODIFIED', object: changed })}\n`;
      for (const watcher of watchers.get(path) ?? []) watcher.write(line);
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
