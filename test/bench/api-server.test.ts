// The API server of the benches: that agents find in it what they ask of a real one.
import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { afterEach, expect, it } from 'vitest';
import { type BenchApiServer, serveObjects } from '../../bench/api-server.ts';

const node = (name: string) => ({ apiVersion: 'v1', kind: 'Node', metadata: { name } });
const nodes = '/api/v1/nodes';
let server: BenchApiServer;

interface List {
  readonly kind: string;
  readonly apiVersion: string;
  readonly items: readonly ReturnType<typeof node>[];
}

const listed = async (url: string) => (await (await fetch(url)).json()) as List;

afterEach(() => server.close());

const start = async () => {
  server = await serveObjects({
    [nodes]: { apiVersion: 'v1', kind: 'Node', items: [node('node-1'), node('node-2')] },
  });
  return `http://127.0.0.1:${server.port}`;
};

it('lists, all or one by its name', async () => {
  const url = await start();
  const names = async (query: string) => {
    const list = await listed(`${url}${nodes}${query}`);
    expect([list.kind, list.apiVersion]).toEqual(['NodeList', 'v1']);
    return list.items.map((one) => one.metadata.name);
  };
  expect(await names('')).toEqual(['node-1', 'node-2']);
  expect(await names(`?fieldSelector=${encodeURIComponent('metadata.name=node-2')}`)).toEqual(['node-2']);
});

it('refuses what it does not have, and lists that begin a watch', async () => {
  const url = await start();
  expect((await fetch(`${url}/api/v1/secrets`)).status).toBe(404);
  expect((await fetch(`${url}${nodes}?watch=true&sendInitialEvents=true`)).status).toBe(422);
});

it('tells those who watch of a change, and lists it from then on', async () => {
  const url = await start();
  const lines = await new Promise<AsyncIterableIterator<string>>((resolve, reject) => {
    request(`${url}${nodes}?watch=true&resourceVersion=1`, (response) =>
      resolve(createInterface(response)[Symbol.asyncIterator]()),
    )
      .on('error', reject)
      .end();
  });
  server.change(nodes, node('node-2'));
  server.change(nodes, node('node-3'));
  const told = [await lines.next(), await lines.next()].map(({ value }) => JSON.parse(value));
  expect(
    told.map(({ type, object }) => [type, object.metadata.name, object.metadata.resourceVersion]),
  ).toEqual([
    ['MODIFIED', 'node-2', '2'],
    ['ADDED', 'node-3', '3'],
  ]);
  const { items } = await listed(`${url}${nodes}`);
  expect(items).toHaveLength(3);
});
