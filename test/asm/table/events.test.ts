// Events of connections, as they stand in a worker's ring.
import { beforeEach, describe, expect, it } from 'vitest';
import {
  EVENT_BYTES_FORWARD,
  EVENT_BYTES_REVERSE,
  EVENT_CELL,
  EVENT_DESTINATION,
  EVENT_DPORT,
  EVENT_FPORT,
  EVENT_FRONTEND,
  EVENT_KIND,
  EVENT_PACKETS_FORWARD,
  EVENT_PACKETS_REVERSE,
  EVENT_PROTOCOL,
  EVENT_REASON,
  EVENT_SIZE,
  EVENT_SOURCE,
  EVENT_SPORT,
  EVENT_TIME,
  EVENT_VERDICT,
  EVENTS,
} from '../../../asm/layout/events.ts';
import {
  CONTROL_EVENTS,
  WORKER_EVENT_HEAD,
  WORKER_EVENT_TAIL,
  WORKER_EVENTS,
} from '../../../asm/layout/memory.ts';
import { STAT_EVENTS_LOST } from '../../../asm/layout/tables.ts';
import { Verdict } from '../../../asm/verdict.ts';
import { fromBytes } from '../../../src/net/address.ts';
import { ACK, FIN, RST, SYN, type TcpFields, tcpPacket, udpPacket } from '../../support/packets.ts';
import { compilerOf, service, slice } from '../../support/services.ts';
import { fromPeer, fromPod, nodeOf, pod } from '../cluster.ts';
import { allow, deny, type TestNode } from '../harness.ts';

const KINDS = ['', 'opened', 'denied', 'closed'];
const REASONS = ['', 'finished', 'reset', 'expired', 'evicted'];
const there = { src: pod(4, 1, 2), dst: pod(4, 2, 2) };
const back = { src: pod(4, 2, 2), dst: pod(4, 1, 2) };
/** Pod 2 may connect to ports below 256 and be connected to by nobody. */
const policies = {
  egress: {
    ports: [80, 53].map((port) => ({
      protocol: port === 53 ? ('udp' as const) : ('tcp' as const),
      port,
      portClass: 1,
    })),
    rows: [[deny(5), allow(6)]],
  },
  ingress: { rows: [[deny(7)]] },
};

let node: TestNode;
beforeEach(() => {
  node = nodeOf(1, { ports: { 2: policies } }, { flowBuckets: 1 });
  node.view.setUint32(CONTROL_EVENTS, 1, true);
});

const client = (flags: number, fields: TcpFields = {}) =>
  node.egress(fromPod(1, 2, tcpPacket(there, { sport: 40000, dport: 80, flags, ...fields })));
const server = (flags: number, fields: TcpFields = {}) =>
  node.ingress(fromPeer(1, tcpPacket(back, { sport: 80, dport: 40000, flags, ...fields })));
const ask = (sport: number, dport = 53) => node.egress(fromPod(1, 2, udpPacket(there, { sport, dport })));

function open() {
  client(SYN, { seq: 0, ack: 0 });
  server(SYN | ACK, { seq: 0, ack: 1 });
  client(ACK);
}

/** What has been written since the last time, with what is not 0. */
function drained() {
  const [head, tail] = [WORKER_EVENT_HEAD, WORKER_EVENT_TAIL].map((at) =>
    node.view.getUint32(node.base + at, true),
  ) as [number, number];
  node.view.setUint32(node.base + WORKER_EVENT_TAIL, head, true);
  return Array.from({ length: head - tail }, (_, i) => {
    const at = node.base + WORKER_EVENTS + ((tail + i) % EVENTS) * EVENT_SIZE;
    const count = (field: number) => Number(node.view.getBigUint64(at + field, true));
    const from = fromBytes(node.bytes.slice(at + EVENT_SOURCE, at + EVENT_SOURCE + 16)).text;
    const reason = REASONS[node.bytes[at + EVENT_REASON] as number];
    return {
      what: [KINDS[node.bytes[at + EVENT_KIND] as number], ...(reason ? [reason] : [])].join(' '),
      flow: `${node.bytes[at + EVENT_PROTOCOL]} ${from}:${node.view.getUint16(at + EVENT_SPORT, true)} ${node.view.getUint16(at + EVENT_DPORT, true)}`,
      decision: node.view.getUint32(at + EVENT_CELL, true) & 0xffff,
      verdict: Verdict[node.view.getUint32(at + EVENT_VERDICT, true)],
      time: node.view.getUint32(at + EVENT_TIME, true),
      packets: [count(EVENT_PACKETS_FORWARD), count(EVENT_PACKETS_REVERSE)],
      bytes: [count(EVENT_BYTES_FORWARD), count(EVENT_BYTES_REVERSE)],
    };
  });
}
const told = () => drained().map(({ what, flow }) => `${what} ${flow}`);

/** Lets the time pass, with the sweep at work. */
function wait(milliseconds: number) {
  for (let passed = 0; passed < milliseconds; passed += 1000) {
    node.clock += 1000;
    node.wasm.sweep();
  }
}

describe('a connection', () => {
  it('is told of when it opens and, with all that went through it, when both sides have closed it', () => {
    open();
    expect(drained()).toMatchObject([
      { what: 'opened', flow: '6 10.244.1.2:40000 80', decision: 6, time: node.clock },
    ]);
    client(FIN | ACK);
    server(FIN | ACK, { seq: 1, ack: 2 });
    client(ACK, { seq: 2, ack: 2 });
    expect(drained()).toEqual([]);
    wait(8000);
    expect(drained()).toMatchObject([
      {
        what: 'closed finished',
        flow: '6 10.244.1.2:40000 80',
        packets: [4, 2],
        bytes: [160, 80],
        decision: 6,
      },
    ]);
    wait(130_000);
    expect(drained()).toEqual([]);
    expect(node.wasm.flowsCount()).toBe(0);
  });

  it('is told of when it is reset, and again when its ports open another', () => {
    open();
    server(RST | ACK, { seq: 1, ack: 1 });
    client(SYN, { seq: 900, ack: 0 });
    client(SYN, { seq: 900, ack: 0 });
    expect(told()).toEqual([
      'opened 6 10.244.1.2:40000 80',
      'closed reset 6 10.244.1.2:40000 80',
      'opened 6 10.244.1.2:40000 80',
    ]);
  });

  it('is told of when it has been silent for too long', () => {
    ask(1);
    wait(29_000);
    expect(told()).toEqual(['opened 17 10.244.1.2:1 53']);
    wait(8_000);
    expect(drained()).toMatchObject([
      { what: 'closed expired', flow: '17 10.244.1.2:1 53', packets: [1, 0], bytes: [28, 0] },
    ]);
    expect(node.wasm.flowsCount()).toBe(0);
  });

  it('is told of when it gives way to another', () => {
    for (let port = 1; port <= 9; port++) {
      ask(port);
      node.clock++;
    }
    expect(told().slice(8)).toEqual(['closed evicted 17 10.244.1.2:1 53', 'opened 17 10.244.1.2:9 53']);
  });
});

describe('a denied packet', () => {
  it('is told of with what denied it, once in ten seconds a flow', () => {
    for (let i = 0; i < 5; i++) ask(1, 99);
    ask(2, 99);
    expect(drained()).toMatchObject([
      { what: 'denied', flow: '17 10.244.1.2:1 99', verdict: 'PolicyEgress', decision: 5, packets: [1, 0] },
      { what: 'denied', flow: '17 10.244.1.2:2 99', verdict: 'PolicyEgress', decision: 5, packets: [1, 0] },
    ]);
    node.clock += 10_000;
    ask(1, 99);
    expect(drained()).toMatchObject([{ flow: '17 10.244.1.2:1 99', packets: [5, 0] }]);
  });

  it('is told of by other names, too', () => {
    server(SYN, { ack: 0 });
    client(SYN | FIN);
    open();
    for (let port = 1; port <= 8; port++) {
      const more = { sport: port };
      client(SYN, { ...more, seq: 0, ack: 0 });
      node.ingress(fromPeer(1, tcpPacket(back, { sport: 80, dport: port, flags: SYN | ACK, seq: 0 })));
      client(ACK, more);
    }
    const denied = drained().filter(({ what }) => what === 'denied');
    expect(denied.map(({ verdict, decision }) => [verdict, decision])).toEqual([
      ['PolicyIngress', 7],
      ['ConnectionInvalid', 0],
      ['ConnectionTableFull', 6],
      ['PolicyIngress', 7],
    ]);
  });
});

it('a full ring loses what comes next, counts it and holds nothing up', () => {
  for (let i = 0; i < EVENTS + 100; i++)
    expect(ask(1 + (i & 0x7fff), 99 + (i >> 15)).verdicts).toEqual({ PolicyEgress: 1 });
  const lost = node.stats()[STAT_EVENTS_LOST] ?? 0;
  expect(lost).toBe(100);
  expect(drained()).toHaveLength(EVENTS);
  ask(60_000, 99);
  expect(drained()).toHaveLength(1);
});

it('nothing is written while the log is off', () => {
  node.view.setUint32(CONTROL_EVENTS, 0, true);
  open();
  ask(1, 99);
  expect(drained()).toEqual([]);
});

it('a connection to a Service is told of once, with client, endpoint and where the client knocked', () => {
  node = nodeOf(1, {
    services: compilerOf([
      service({ ports: [{ name: 'dns', port: 53, targetPort: 5353, protocol: 'UDP' }] }),
      slice([{ ip: pod(4, 2, 2), node: 'node-2', ready: true }], {
        ports: [{ name: 'dns', protocol: 'UDP', port: 5353 }],
      }),
    ]),
  });
  node.view.setUint32(CONTROL_EVENTS, 1, true);
  node.egress(fromPod(1, 2, udpPacket({ src: pod(4, 1, 2), dst: '10.96.0.10' }, { sport: 1, dport: 53 })));
  const at = node.base + WORKER_EVENTS;
  const text = (offset: number) => fromBytes(node.bytes.slice(at + offset, at + offset + 16)).text;
  expect(text(EVENT_DESTINATION)).toBe(pod(4, 2, 2));
  expect(text(EVENT_FRONTEND)).toBe('10.96.0.10');
  expect(node.view.getUint16(at + EVENT_FPORT, true)).toBe(53);
  expect(node.wasm.flowsCount()).toBe(2);
  expect(told()).toEqual(['opened 17 10.244.1.2:1 5353']);
  wait(40_000);
  expect(told()).toEqual(['closed expired 17 10.244.1.2:1 5353']);
  expect(node.wasm.flowsCount()).toBe(0);
  node.egress(fromPod(1, 2, udpPacket({ src: pod(4, 1, 2), dst: '10.96.0.10' }, { sport: 1, dport: 54 })));
  expect(drained()).toMatchObject([{ what: 'denied', verdict: 'ServiceNoSuchPort' }]);
});
