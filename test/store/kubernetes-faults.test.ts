// What a real API server cannot be made to do when a test wants it: answers by a script.
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { KubernetesStore } from '../../src/store/kubernetes/store.ts';

type Answer = (query: URLSearchParams, response: ServerResponse, request: IncomingMessage) => void;

let directory: string;
let server: Server;
let store: KubernetesStore;
/** Lists and watches of pods; the other collections are empty and quiet. */
let lists: Answer[];
let watches: Answer[];
let asked: string[];
/** What is served of policy.networking.k8s.io, by path. */
let group: Record<string, object>;

beforeEach(async () => {
  [lists, watches, asked, group] = [[], [], [], {}];
  directory = mkdtempSync(`${tmpdir()}/overweft-faults-`);
  server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://server');
    const isWatch = searchParams.get('watch') === 'true';
    if (pathname === '/api/v1/pods') {
      asked.push(
        isWatch
          ? `watch ${searchParams.get('resourceVersion')}`
          : `list ${searchParams.get('continue') ?? ''}`,
      );
      const answer = (isWatch ? watches : lists).shift() ?? (isWatch ? quiet : list([]));
      answer(searchParams, response, request);
    } else if (pathname.startsWith('/apis/policy.networking.k8s.io')) {
      const answer = group[pathname];
      json(response, answer ?? {}, answer ? 200 : 404);
    } else if (isWatch) quiet(searchParams, response, request);
    else list([])(searchParams, response, request);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  await store.stop();
  server.closeAllConnections();
  server.close();
  rmSync(directory, { recursive: true });
});

const start = async () => {
  const { port } = server.address() as AddressInfo;
  const file = `${directory}/kubeconfig`;
  writeFileSync(
    file,
    stringify({
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'c' } }],
      clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}` } }],
      users: [{ name: 'c', user: { token: 't' } }],
    }),
  );
  store = new KubernetesStore({ type: 'kubernetes', kubeconfig: file });
  await store.start(() => {});
};
const pod = (name: string, resourceVersion: string) => ({
  metadata: { name, namespace: 'default', resourceVersion },
});
const json = (response: ServerResponse, value: object, status = 200, headers = {}) =>
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
const list =
  (items: object[], more?: string, resourceVersion = '10'): Answer =>
  (_, response) =>
    json(response, { metadata: { resourceVersion, ...(more && { continue: more }) }, items });
const gone: Answer = (_, response) =>
  json(response, { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' }, 410);
/** Events, then what the test says. */
const watch =
  (events: object[], then: (response: ServerResponse) => void = () => {}): Answer =>
  (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    for (const event of events) response.write(`${JSON.stringify(event)}\n`);
    then(response);
  };
const quiet = watch([]);
const names = () => store.state.objects?.pods.map(({ metadata }) => metadata.name).sort();
const soon = <T>(value: () => T) => expect.poll(value, { timeout: 30_000, interval: 10 });

it('lists again when a watch says that its revision is gone', async () => {
  lists = [list([pod('a', '1'), pod('b', '2')]), list([pod('a', '1'), pod('c', '30')], undefined, '30')];
  const status = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
  watches = [watch([{ type: 'ERROR', object: { ...status, metadata: {} } }], (response) => response.end())];
  await start();
  await soon(names).toEqual(['a', 'c']);
  await soon(() => asked).toEqual(['list ', 'watch 10', 'list ', 'watch 30']);
});

it('begins a list anew when its pages no longer fit together, and shows nothing of the first', async () => {
  lists = [
    list([pod('x', '1')], 'next'),
    gone,
    list([pod('a', '5')], 'more', '20'),
    list([pod('b', '6')], undefined, '20'),
  ];
  await start();
  await soon(names).toEqual(['a', 'b']);
  await soon(() => asked).toEqual(['list ', 'list next', 'list ', 'list more', 'watch 20']);
});

it('goes on from the last bookmark after a watch that broke off in the middle of a line', async () => {
  lists = [list([pod('a', '1')])];
  const bookmark = { type: 'BOOKMARK', object: { metadata: { resourceVersion: '25' } } };
  watches = [
    watch([{ type: 'ADDED', object: pod('b', '20') }, bookmark], (response) => {
      response.write('{"type":"ADDED","obj');
      setTimeout(() => response.destroy(), 50);
    }),
    watch([{ type: 'DELETED', object: pod('a', '26') }]),
  ];
  await start();
  await soon(names).toEqual(['b']);
  expect(asked).toEqual(['list ', 'watch 10', 'watch 25']);
  expect(store.state.lastError?.message).toMatch(/^pods: /);
});

it('waits as long as a server asks that has too much to do', async () => {
  let first = 0;
  let second = 0;
  lists = [
    (_, response) => {
      first = Date.now();
      json(response, { kind: 'Status', code: 429, message: 'slow down' }, 429, { 'retry-after': '2' });
    },
    (...answer) => {
      second = Date.now();
      list([pod('a', '1')])(...answer);
    },
  ];
  await start();
  await soon(() => store.state.lastError?.message).toBe('pods: 429: slow down');
  await soon(names).toEqual(['a']);
  expect(second - first).toBeGreaterThanOrEqual(1_990);
});

it('takes a list that is compressed', async () => {
  lists = [
    (_, response, request) => {
      expect(request.headers).toMatchObject({ 'accept-encoding': 'gzip', authorization: 'Bearer t' });
      const body = JSON.stringify({ metadata: { resourceVersion: '10' }, items: [pod('a', '1')] });
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(body));
    },
  ];
  await start();
  await soon(names).toEqual(['a']);
});

it('does not ask in a loop where every watch ends at once', async () => {
  lists = [list([])];
  watches = Array.from({ length: 100 }, () => watch([], (response) => response.end()));
  await start();
  await soon(() => store.state.lastError?.message).toBe('pods: the watch ends at once');
  const before = asked.length;
  await new Promise((resolve) => setTimeout(resolve, 1000));
  expect(asked.length - before).toBeLessThan(8);
});

it('does not overlook ClusterNetworkPolicies of a version that it cannot read', async () => {
  const base = '/apis/policy.networking.k8s.io';
  group[base] = { versions: [{ version: 'v1alpha1' }, { version: 'v2' }] };
  group[`${base}/v1alpha1`] = { resources: [{ name: 'adminnetworkpolicies' }] };
  group[`${base}/v2`] = { resources: [{ name: 'clusternetworkpolicies' }] };
  await start();
  await soon(() => store.state.lastError?.message).toBe(
    'clusternetworkpolicies: served as v2, not as v1beta1 or v1alpha2',
  );
  expect(store.state).toMatchObject({ isCurrent: false, objects: undefined });
});
