// The tables that the control thread builds: longest-prefix match beside a naive one, hashes to their last slot.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PREFIX_KIND, PREFIX_TARGET } from '../../../asm/layout/tables.ts';
import { address, fromBytes, words } from '../../../src/net/address.ts';
import { be, concat, ip16 } from '../../support/packets.ts';
import { tablesOf } from '../cluster.ts';
import { AREA_SIZE, TestNode } from '../harness.ts';

const node = new TestNode(null);
const area = node.view.getUint32(0x1014, true);

interface Prefix {
  readonly bytes: Uint8Array;
  /** Of 128. */
  readonly length: number;
  readonly target: number;
}

const bit = (bytes: Uint8Array, i: number) => ((bytes[i >> 3] as number) >> (7 - (i & 7))) & 1;
const holds = ({ bytes, length }: Prefix, at: Uint8Array) =>
  Array.from({ length }, (_, i) => bit(bytes, i) === bit(at, i)).every(Boolean);

/** IPv4 prefixes hold IPv4 addresses only, as ::/0 is not 0.0.0.0/0. */
const isV4 = (bytes: Uint8Array) => fromBytes(bytes.slice()).family === 4;
function longest(prefixes: readonly Prefix[], at: Uint8Array): Prefix | undefined {
  return prefixes
    .filter((prefix) => isV4(prefix.bytes) === isV4(at) && holds(prefix, at))
    .sort((a, b) => b.length - a.length)[0];
}

// Few different bytes, so that prefixes nest and addresses hit them.
const byte = fc.constantFrom(0, 0x80, 0xff, 1, 0xfe, 0x0a, 0xf4);
const v4 = fc
  .array(byte, { minLength: 4, maxLength: 4 })
  .map((b) => concat(be(0, 10), be(0xffff, 2), Uint8Array.from(b)));
const v6 = fc
  .array(byte, { minLength: 16, maxLength: 16 })
  .map((b) => Uint8Array.from(b))
  .filter((b) => !isV4(b));
const anyAddress = fc.oneof(v4, v6);
const prefix = fc.oneof(
  fc.record({ bytes: v4, length: fc.integer({ min: 96, max: 128 }) }),
  fc.record({ bytes: v6, length: fc.integer({ min: 0, max: 128 }) }),
);
/** The prefix without what lies behind its length; a short IPv6 one must not look like IPv4. */
const masked = ({ bytes, length }: { bytes: Uint8Array; length: number }) =>
  bytes.map((value, i) =>
    length >= (i + 1) * 8 ? value : length <= i * 8 ? 0 : value & (0xff << (8 - (length - i * 8))),
  );

function begin(
  sizes: { endpoints?: number; routes?: number; cidrs?: number; peers?: number },
  size = AREA_SIZE,
): number {
  const { endpoints = 16, routes = 16, cidrs = 16, peers = 16 } = sizes;
  return node.wasm.tablesBegin(area, size, 1, endpoints, routes, cidrs, peers, 1, 4);
}

const wordsOf = (bytes: Uint8Array) => words(fromBytes(bytes.slice()));

describe.each(['route', 'cidr'] as const)('longest prefix: %s', (table) => {
  const put = ({ bytes, length, target }: Prefix) =>
    table === 'route'
      ? node.wasm.routePut(area, ...wordsOf(bytes), length, 2, target)
      : node.wasm.cidrPut(area, ...wordsOf(bytes), length, target);
  const find = (at: Uint8Array) => {
    node.bytes.set(at, node.scratch);
    return node.wasm[`${table}Find`](area, node.scratch) >>> 0;
  };
  const targetOf = (row: number) => (row === 0 ? undefined : node.view.getUint32(row + PREFIX_TARGET, true));

  it('is what a naive search finds, both families, every length', () => {
    fc.assert(
      fc.property(
        fc.array(prefix, { maxLength: 40 }),
        fc.array(anyAddress, { minLength: 1, maxLength: 20 }),
        (list, others) => {
          expect(begin({ [`${table}s`]: 64 })).toBe(1);
          const unique = new Map<string, Prefix>();
          for (const [target, one] of list.entries()) {
            const bytes = masked(one);
            // Of two equal prefixes the later one counts.
            unique.set(`${bytes.join()}/${one.length}`, { bytes, length: one.length, target });
            expect(put({ bytes, length: one.length, target })).toBe(1);
          }
          const prefixes = [...unique.values()];
          for (const at of [...others, ...list.map(({ bytes }) => bytes)]) {
            expect(targetOf(find(at))).toBe(longest(prefixes, at)?.target);
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it('masks what lies behind the length', () => {
    begin({});
    put({ bytes: ip16('10.1.2.3'), length: 96 + 17, target: 5 });
    put({ bytes: ip16('2001:db8:ffff::1'), length: 33, target: 6 });
    expect(targetOf(find(ip16('10.1.127.255')))).toBe(5);
    expect(find(ip16('10.1.128.0'))).toBe(0);
    expect(targetOf(find(ip16('2001:db8:8000::')))).toBe(6);
    expect(find(ip16('2001:db8:7fff::'))).toBe(0);
  });

  it('keeps the families apart: neither default route serves the other', () => {
    begin({});
    put({ bytes: ip16('0.0.0.0'), length: 96, target: 4 });
    expect(targetOf(find(ip16('1.2.3.4')))).toBe(4);
    expect(find(ip16('2001:db8::1'))).toBe(0);
    put({ bytes: ip16('::'), length: 0, target: 6 });
    expect(targetOf(find(ip16('1.2.3.4')))).toBe(4);
    expect(targetOf(find(ip16('2001:db8::1')))).toBe(6);
    expect(targetOf(find(ip16('::')))).toBe(6);
  });

  it('holds every length at once', () => {
    begin({ [`${table}s`]: 256 });
    for (let length = 0; length <= 128; length++)
      put({ bytes: masked({ bytes: new Uint8Array(16).fill(0xff), length }), length, target: length });
    for (let length = 0; length < 128; length++) {
      const at = new Uint8Array(16).fill(0xff);
      at[length >> 3] = (at[length >> 3] as number) & ~(0x80 >> (length & 7));
      expect(targetOf(find(at))).toBe(length);
    }
  });

  it('is refused when the table is full, and then finds what it found', () => {
    begin({ [`${table}s`]: 16 });
    const one = (i: number) => ({ bytes: ip16(`10.0.0.${i}`), length: 128, target: i });
    for (let i = 0; i < 16; i++) expect(put(one(i))).toBe(1);
    expect(put(one(16))).toBe(0);
    expect(put({ ...one(3), target: 99 })).toBe(1);
    expect(targetOf(find(ip16('10.0.0.3')))).toBe(99);
    expect(targetOf(find(ip16('10.0.0.15')))).toBe(15);
    expect(find(ip16('10.0.0.16'))).toBe(0);
  });
});

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
    const row = full.wasm.routeFind(full.area, full.scratch) >>> 0;
    expect(full.view.getUint32(row + PREFIX_KIND, true)).toBe(2);
  });
});
