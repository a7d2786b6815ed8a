import { describe, expect, it } from 'vitest';
import { NO_TUNNEL } from '../../asm/layout/burst.ts';
import { FIRST_SOCKET_SLOT } from '../../asm/layout/memory.ts';
import * as layout from '../../asm/layout/tables.ts';
import { planMemory } from '../../src/dataplane/memory.ts';
import { desiredFrom, node, pod, policy } from '../support/cluster.ts';
import { loadConfigText } from '../support/configuration.ts';
import { TestTables } from '../support/tables.ts';

const cluster = [
  node(1),
  node(2),
  pod({ name: 'pod-1', ips: ['10.244.1.2', 'fd00:244:1::2'] }),
  pod({ name: 'pod-2', node: 'node-2', ips: ['10.244.2.3', 'fd00:244:2::3'] }),
];

const filled = (more: object = {}, objects: readonly object[] = cluster) => {
  const tables = new TestTables(loadConfigText('node-1', more));
  const use = tables.fill(desiredFrom(objects, 'node-1', more));
  return { tables, use };
};

describe('table area', () => {
  it('finds local pods by port, remote ones by tunnel, and no stranger', () => {
    const { tables, use } = filled();
    for (const ip of ['10.244.1.2', 'fd00:244:1::2']) {
      const row = tables.find('endpoint', ip);
      expect(tables.u16(row + layout.ENDPOINT_PORT)).toBe(2);
      expect(tables.u16(row + layout.ENDPOINT_FLAGS)).toBe(layout.ENDPOINT_IS_USED);
      expect(tables.hex(row + layout.ENDPOINT_MAC, 6)).toBe('020000000001');
      expect(tables.u16(row + layout.ENDPOINT_TUNNEL)).toBe(layout.NO_ENDPOINT_TUNNEL);
    }
    for (const ip of ['10.244.2.3', 'fd00:244:2::3']) {
      const row = tables.find('endpoint', ip);
      expect(tables.u16(row + layout.ENDPOINT_PORT)).toBe(layout.NO_PORT);
      expect(tables.u16(row + layout.ENDPOINT_TUNNEL)).toBe(0);
    }
    const self = tables.find('endpoint', '10.244.1.1');
    expect(tables.u16(self + layout.ENDPOINT_FLAGS)).toBe(layout.ENDPOINT_IS_USED | layout.ENDPOINT_IS_NODE);
    expect(tables.u16(self + layout.ENDPOINT_PORT)).toBe(0);
    expect(tables.find('endpoint', '10.244.1.3')).toBe(0);
    expect(use.endpoints).toBe(12);
  });

  it.each([
    ['10.244.2.77', layout.ROUTE_TUNNEL, 0],
    ['fd00:244:2::77', layout.ROUTE_TUNNEL, 0],
    ['10.244.1.77', layout.ROUTE_EMPTY, 0],
    ['10.244.9.1', layout.ROUTE_UNASSIGNED, 0],
    ['198.51.100.1', layout.ROUTE_OUTSIDE, 0],
    ['2001:db8:f::1', layout.ROUTE_OUTSIDE, 0],
  ])('routes %s', (ip, kind, target) => {
    const { tables } = filled();
    expect(tables.find('route', ip)).toBe((kind << 16) | target);
  });

  it('writes a tunnel row field by field', () => {
    const { tables } = filled({
      underlay: { addresses: ['192.0.2.1', '2001:db8::1'], dscp: 46, ttl: 33 },
      vni: 0x123456,
    });
    const row = tables.wasm.tunnelRow(tables.area, 0) >>> 0;
    expect(tables.u8(row + layout.TUNNEL_KIND)).toBe(layout.TUNNEL_GENEVE);
    expect(tables.u8(row + layout.TUNNEL_FAMILY)).toBe(4);
    expect(tables.u16(row + layout.TUNNEL_HEADER_LENGTH)).toBe(8);
    expect(tables.u32(row + layout.TUNNEL_MTU)).toBe(1450);
    expect(tables.u16(row + layout.TUNNEL_SLOT)).toBe(FIRST_SOCKET_SLOT + 1);
    expect(tables.u16(row + layout.TUNNEL_SLOTS)).toBe(32);
    expect(tables.u32(row + layout.TUNNEL_VNI)).toBe(0x123456);
    expect(tables.u8(row + layout.TUNNEL_TOS)).toBe(46 << 2);
    expect(tables.u8(row + layout.TUNNEL_TTL)).toBe(33);
    expect(tables.u16(row + layout.TUNNEL_FLAGS)).toBe(
      layout.TUNNEL_IS_ETHERNET | layout.TUNNEL_HAS_CHECKSUM,
    );
    expect(tables.u16(row + layout.TUNNEL_OUTER_LENGTH)).toBe(0);
    // family 2, port 6081, 192.0.2.2
    expect(tables.hex(row + layout.TUNNEL_SOCKADDR, 16)).toBe('020017c1c00002020000000000000000');
    expect(tables.hex(row + layout.TUNNEL_HEADER, 8)).toBe('0000655812345600');
    expect(tables.hex(row + layout.TUNNEL_REMOTE, 16)).toBe('00000000000000000000ffffc0000202');
    const six = tables.wasm.tunnelRow(tables.area, 1) >>> 0;
    // family 10, port 6081, flow 0, 2001:db8::2, scope 0
    expect(tables.hex(six + layout.TUNNEL_SOCKADDR, 28)).toBe(
      '0a0017c10000000020010db800000000000000000000000200000000',
    );
    expect(tables.wasm.tunnelRow(tables.area, NO_TUNNEL)).toBe(0);
  });

  it('says that a pod is pending until its object is there', () => {
    const { tables } = filled();
    expect(tables.u8(tables.portRow('default/pod-1') + layout.PORT_FLAGS)).toBe(0);
    expect(tables.u32(tables.portRow('default/pod-1') + layout.PORT_INGRESS_SET)).toBe(0);
  });

  it.each([
    ['endpoints', { endpoints: 16 }, 40],
    ['tunnels', { tunnels: 1 }, 0],
  ])('refuses what does not fit and names tables.%s', (name, sizes, pods) => {
    const many = Array.from({ length: pods }, (_, i) => pod({ name: `p-${i}`, ips: [`10.244.1.${i + 10}`] }));
    expect(() => filled({ tables: sizes }, [...cluster, ...many])).toThrow(`tables.${name} is`);
  });

  it('refuses policy that does not fit', () => {
    const many = Array.from({ length: 40 }, (_, i) =>
      policy(`p-${i}`, {
        podSelector: { matchLabels: { app: `a-${i}` } },
        ingress: [{ ports: [{ port: 1000 + i * 300 }] }],
      }),
    );
    const pods = Array.from({ length: 40 }, (_, i) =>
      pod({ name: `a-${i}`, ips: [`10.244.1.${i + 10}`], labels: { app: `a-${i}` } }),
    );
    expect(() => filled({ tables: { policyBytes: 65536 } }, [node(1), ...pods, ...many])).toThrow(
      'tables.policyBytes is 65536',
    );
  });
});

describe('memory plan', () => {
  it('lays regions out behind each other, page by page', () => {
    const plan = planMemory(loadConfigText('node-1', { workers: 2 }));
    expect(plan.flows.offset % 4096).toBe(0);
    expect(plan.areas[0]).toBe(plan.flows.offset + plan.flows.size);
    expect(plan.areas[1]).toBe(plan.areas[0] + plan.areaSize);
    expect(plan.size % 65536).toBe(0);
    expect(plan.size).toBeGreaterThanOrEqual(plan.areas[1] + plan.areaSize);
  });

  it('refuses tables that no 32-bit memory holds', () => {
    expect(() =>
      planMemory(
        loadConfigText('node-1', {
          tables: { flows: 4194304, policyBytes: 536870912, endpoints: 1048576 },
          workers: 8,
        }),
      ),
    ).not.toThrow();
    const { tables } = loadConfigText();
    expect(() => planMemory({ workers: 8, tables: { ...tables, flows: 1 << 25 } })).toThrow(
      /lower tables\.flows/,
    );
  });
});
