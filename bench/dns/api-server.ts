// As much of a Kubernetes API server as CoreDNS asks: lists, and watches that never tell of a change.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { ClusterObjects } from './cluster.ts';

/** @returns its port */
export async function serveObjects({ namespaces, services, slices }: ClusterObjects) {
  const lists: Readonly<Record<string, readonly [string, string, readonly object[]]>> = {
    '/api/v1/namespaces': ['v1', 'NamespaceList', namespaces],
    '/api/v1/services': ['v1', 'ServiceList', services],
    '/api/v1/pods': ['v1', 'PodList', []],
    '/apis/discovery.k8s.io/v1/endpointslices': ['discovery.k8s.io/v1', 'EndpointSliceList', slices],
  };
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const list = lists[url.pathname];
    response.setHeader('content-type', 'application/json');
    if (url.pathname === '/version') {
      response.end(JSON.stringify({ major: '1', minor: '37', gitVersion: 'v1.37.1' }));
    } else if (!list) {
      response.statusCode = 404;
      response.end(JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code: 404 }));
    } else if (url.searchParams.has('sendInitialEvents')) {
      // The client lists instead.
      response.statusCode = 422;
      const status = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Invalid', code: 422 };
      response.end(JSON.stringify(status));
    } else if (url.searchParams.has('watch')) {
      response.writeHead(200);
      response.flushHeaders();
    } else {
      const [apiVersion, kind, items] = list;
      response.end(JSON.stringify({ apiVersion, kind, metadata: { resourceVersion: '1' }, items }));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as { port: number }).port,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
