// The tables that the control thread builds: hashes to their last slot, areas to their last byte.
import { describe, expect, it } from 'vitest';
import { ROUTE_TUNNEL } from '../../../asm/layout/tables.ts';
import { address, words } from '../../../src/net/address.ts';
import { ip16 } from '../../support/packets.ts';
import { tablesOf } from '../cluster.ts';
import { AREA_SIZE, TestNode } from '../harness.ts';

const node = new TestNode(null);
const area = node.view.getUint32(0x1014, true);

function begin(sizes: { endpoints?: number; peers?: number }, size = AREA_SIZE): number {
  const { endpoints = 16, peers = 16 } = sizes;
  return node.wasm.tablesBegin(area, size, 1, endpoints, peers, 1, 4);
}

describe('endpoints', () => {
  const put = (text: string, identity: number) =>
    node.wasm.endpointPut(area, ...words(address(text)), identity, 1, 0, 0, 0, 0xffff);
  const find = (text: string) => {
    node.bytes.set(ip16(text), node.scratch);
    return node.wasm.endpointFind(area, node.scratch) >>> 0;
  };

  it('are found by address, replaced, and refused when the table is full', () => {
    begin({ endpoints: 1024 });
    const names = Array.from({ length: 1024 }, (_, i) =>
      i % 2 ? `10.9.${i >> 8}.${i & 255}` : `fd00::${i.toString(16)}`,
    );
    for (const [i, name] of names.entries()) expect(put(name, i)).toBe(1);
    expect(put('10.200.0.1', 1)).toBe(0);
    for (const [i, name] of names.entries()) expect(node.view.getUint32(find(name) + 16, true)).toBe(i);
    expect(find('10.200.0.1')).toBe(0);
    expect(put(names[7] as string, 4242)).toBe(1);
    expect(node.view.getUint32(find(names[7] as string) + 16, true)).toBe(4242);
  });
});

describe('peers', () => {
  it('are refused when the table is full; a known one may have a tunnel of each kind', () => {
    begin({ peers: 16 });
    const put = (i: number, kind: number) =>
      node.wasm.peerPut(area, ...words(address(`192.0.2.${i}`)), kind, i);
    for (let i = 0; i < 16; i++) expect(put(i, 1)).toBe(1);
    expect(put(16, 1)).toBe(0);
    for (const kind of [1, 2, 3]) expect(put(5, kind)).toBe(1);
  });
});

describe('the area', () => {
  it('refuses tables that do not fit, and allocations beyond its end', () => {
    expect(begin({ endpoints: 2 ** 15 })).toBe(0);
    expect(begin({}, 2048)).toBe(0);
    expect(begin({})).toBe(1);
    expect(node.wasm.tablesAlloc(area, BigInt(AREA_SIZE))).toBe(0);
    expect(node.wasm.tablesAlloc(area, 2n ** 40n)).toBe(0);
    expect(node.wasm.tablesAlloc(area, 64n)).not.toBe(0);
  });

  it('starts from zero whatever lay there', () => {
    node.bytes.fill(0xa5, area, area + AREA_SIZE);
    begin({});
    node.bytes.set(ip16('10.0.0.1'), node.scratch);
    for (const table of ['endpointFind', 'routeFind', 'cidrFind'] as const)
      expect(node.wasm[table](area, node.scratch)).toBe(0);
    const at = node.wasm.tablesAlloc(area, 1000n) >>> 0;
    expect(node.bytes.slice(at, at + 1000).every((value) => value === 0)).toBe(true);
    expect(at % 64).toBe(0);
  });

  it('names a kind for every route of a node', () => {
    const full = new TestNode(tablesOf(1));
    node.bytes.set(ip16('10.244.2.9'), node.scratch);
    full.bytes.set(ip16('10.244.2.9'), full.scratch);
    expect(full.wasm.routeFind(full.area, full.scratch) >>> 16).toBe(ROUTE_TUNNEL);
  });
});
