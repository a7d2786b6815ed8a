// What opens a connection, what moves it on, and what a stray packet can do: nothing.
import { beforeEach, describe, expect, it } from 'vitest';
import { FLOW_STATE, FLOWS_HEADER_SIZE } from '../../../asm/layout/flows.ts';
import { CONTROL_FLOWS } from '../../../asm/layout/memory.ts';
import {
  ACK,
  be,
  concat,
  echoPacket,
  FIN,
  fragmentHeader,
  ipPacket,
  ipv4,
  ipv6,
  PSH,
  RST,
  SYN,
  type TcpFields,
  tcp,
  tcpPacket,
  URG,
  udpPacket,
} from '../../support/packets.ts';
import { type ClusterOptions, fromPeer, fromPod, nodeOf, pod, tablesOf } from '../cluster.ts';
import { deny, fate, type PolicySpec, type TestNode } from '../harness.ts';

const families = [4, 6] as const;
const closed: PolicySpec = { rows: [[deny(7)]] };
/** Nobody may connect to pod 2 of node 1. */
const noIngress: ClusterOptions = { ports: { 2: { ingress: closed } } };
/** Pod 2 of node 1 may connect to nobody. */
const noEgress: ClusterOptions = { ports: { 2: { egress: closed } } };
const CLIENT = 40000;
const SERVER = 80;
const STATES = ['', 'new', 'answered', 'established', 'closing', 'closed', 'reset'];

/** Segments between pod 2 of node 1 and pod 2 of node 2. */
class Conversation {
  readonly node: TestNode;
  readonly family: 4 | 6;
  /** The node's pod is the client, or the server. */
  readonly isClient: boolean;
  port = CLIENT;

  constructor(options: ClusterOptions = {}, { family = 4 as 4 | 6, isClient = true } = {}) {
    this.node = nodeOf(1, options);
    this.family = family;
    this.isClient = isClient;
  }

  client(flags: number, fields: TcpFields & { bytes?: number } = {}): string {
    return this.#pass(true, flags, fields);
  }

  server(flags: number, fields: TcpFields & { bytes?: number } = {}): string {
    return this.#pass(false, flags, fields);
  }

  #pass(
    fromClient: boolean,
    flags: number,
    { bytes = 0, ...fields }: TcpFields & { bytes?: number },
  ): string {
    const isOut = fromClient === this.isClient;
    const [own, peer] = [pod(this.family, 1, 2), pod(this.family, 2, 2)];
    const ports = fromClient ? { sport: this.port, dport: SERVER } : { sport: SERVER, dport: this.port };
    const between = isOut ? { src: own, dst: peer } : { src: peer, dst: own };
    const packet = tcpPacket(between, { ...ports, flags, ...fields }, new Uint8Array(bytes));
    return fate(isOut ? this.node.egress(fromPod(1, 2, packet)) : this.node.ingress(fromPeer(1, packet)));
  }

  /** Client's numbers begin at 1000, the server's at 5000. */
  open(scale?: number): void {
    const options = scale === undefined ? {} : { options: Uint8Array.of(1, 3, 3, scale) };
    expect(this.client(SYN, { seq: 1000, ack: 0, ...options })).toBe('Forward');
    expect(this.server(SYN | ACK, { seq: 5000, ack: 1001, ...options })).toBe('Forward');
    expect(this.client(ACK, { seq: 1001, ack: 5001 })).toBe('Forward');
    expect(this.state).toBe('established');
  }

  /** State of the only flow. */
  get state(): string {
    const states = statesOf(this.node);
    if (states.length > 1) throw new Error(`${states.length} flows`);
    return states[0] ?? 'none';
  }
}

function statesOf(node: TestNode): string[] {
  const tags = node.view.getUint32(CONTROL_FLOWS, true) + FLOWS_HEADER_SIZE;
  const buckets = 64;
  return Array.from({ length: buckets * 8 }, (_, i) => i)
    .filter((i) => node.view.getUint32(tags + i * 4, true) !== 0)
    .map((i) => STATES[node.bytes[tags + buckets * 32 + i * 128 + FLOW_STATE] as number] ?? '?');
}

describe.each(families)('TCP over IPv%i', (family) => {
  let talk: Conversation;
  beforeEach(() => {
    talk = new Conversation(noIngress, { family });
  });

  it('goes from SYN to the last FIN', () => {
    expect(talk.client(SYN, { seq: 1000, ack: 0 })).toBe('Forward');
    expect(talk.state).toBe('new');
    expect(talk.server(SYN | ACK, { seq: 5000, ack: 1001 })).toBe('Forward');
    expect(talk.state).toBe('answered');
    expect(talk.client(ACK, { seq: 1001, ack: 5001 })).toBe('Forward');
    expect(talk.state).toBe('established');
    expect(talk.client(ACK | PSH, { seq: 1001, ack: 5001, bytes: 100 })).toBe('Forward');
    expect(talk.server(ACK | FIN, { seq: 5001, ack: 1101 })).toBe('Forward');
    expect(talk.state).toBe('closing');
    expect(talk.client(ACK, { seq: 1101, ack: 5002, bytes: 100 })).toBe('Forward');
    expect(talk.state).toBe('closing');
    expect(talk.client(ACK | FIN, { seq: 1201, ack: 5002 })).toBe('Forward');
    expect(talk.state).toBe('closed');
    expect(talk.server(ACK, { seq: 5002, ack: 1202 })).toBe('Forward');
    expect(talk.state).toBe('closed');
  });

  it('is not closed by a FIN or a RST outside the window', () => {
    talk.open();
    for (const seq of [1, 4000, 5002 + 66_000, 5001 + 2 ** 31]) {
      for (const flags of [FIN | ACK, RST | ACK, RST]) {
        if (seq === 4000 && flags & FIN) continue;
        talk.server(flags, { seq, ack: 1001 });
        expect(talk.state).toBe('established');
      }
    }
    // In the window, but not the number that the receiver waits for: it will ask (RFC 5961 §3.2).
    talk.server(RST, { seq: 5100 });
    expect(talk.state).toBe('established');
    // An acknowledgement of what was never sent.
    talk.server(FIN | ACK, { seq: 5001, ack: 9000 });
    expect(talk.state).toBe('established');
    talk.server(RST, { seq: 5001 });
    expect(talk.state).toBe('reset');
  });

  it('is reset by the number behind what was sent, and by the one last acknowledged', () => {
    talk.open();
    expect(talk.server(ACK, { seq: 5001, ack: 1001, bytes: 500 })).toBe('Forward');
    talk.server(RST | ACK, { seq: 5501, ack: 1001 });
    expect(talk.state).toBe('reset');
    talk = new Conversation(noIngress, { family });
    talk.open();
    expect(talk.server(ACK, { seq: 5001, ack: 1001, bytes: 500 })).toBe('Forward');
    talk.server(RST, { seq: 5001 });
    expect(talk.state).toBe('reset');
  });

  it('is refused by a RST that acknowledges the SYN, and by no other', () => {
    talk.client(SYN, { seq: 1000, ack: 0 });
    talk.server(RST | ACK, { seq: 0, ack: 1000 });
    talk.server(RST, { seq: 0 });
    expect(talk.state).toBe('new');
    talk.server(RST | ACK, { seq: 0, ack: 1001 });
    expect(talk.state).toBe('reset');
  });

  it('is answered by a SYN+ACK that acknowledges the SYN, and by no other', () => {
    talk.client(SYN, { seq: 1000, ack: 0 });
    for (const ack of [1001 - 1500, 1002, 70_000]) talk.server(SYN | ACK, { seq: 5000, ack: ack >>> 0 });
    talk.server(ACK, { seq: 5000, ack: 1001 });
    expect(talk.state).toBe('new');
    talk.server(SYN | ACK, { seq: 5000, ack: 1001 });
    expect(talk.state).toBe('answered');
    // Before the client has acknowledged it, the server may have chosen another number.
    talk.server(SYN | ACK, { seq: 7000, ack: 1001 });
    talk.client(ACK, { seq: 1001, ack: 7001 });
    expect(talk.state).toBe('established');
  });

  it('takes a SYN that is sent again, with the same number or another', () => {
    talk.client(SYN, { seq: 1000, ack: 0 });
    talk.client(SYN, { seq: 1000, ack: 0 });
    talk.client(SYN, { seq: 3000, ack: 0 });
    expect(talk.state).toBe('new');
    talk.server(SYN | ACK, { seq: 5000, ack: 3001 });
    talk.client(ACK, { seq: 3001, ack: 5001 });
    expect(talk.state).toBe('established');
    expect(talk.client(SYN, { seq: 1000, ack: 0 })).toBe('Forward');
    expect(talk.state).toBe('established');
  });

  it('lets a client that has restarted find out, and begin anew', () => {
    talk.open();
    expect(talk.client(SYN, { seq: 800_000, ack: 0 })).toBe('Forward');
    // The challenge (RFC 9293 §3.10.7.4, RFC 5961 §4.2) reaches it, and its answer resets.
    expect(talk.server(ACK, { seq: 5001, ack: 1001 })).toBe('Forward');
    expect(talk.client(RST, { seq: 1001 })).toBe('Forward');
    expect(talk.state).toBe('reset');
    expect(talk.client(SYN, { seq: 800_000, ack: 0 })).toBe('Forward');
    expect(talk.state).toBe('new');
    expect(talk.server(SYN | ACK, { seq: 9000, ack: 800_001 })).toBe('Forward');
    expect(talk.state).toBe('answered');
  });

  it('takes the same ports again in TIME-WAIT, from the side that asks now', () => {
    talk.open();
    talk.client(FIN | ACK, { seq: 1001, ack: 5001 });
    talk.server(FIN | ACK, { seq: 5001, ack: 1002 });
    expect(talk.state).toBe('closed');
    expect(talk.server(SYN, { seq: 1, ack: 0 })).toBe('PolicyIngress');
    // Refused, it has changed nothing: the last acknowledgement passes.
    expect(talk.client(ACK, { seq: 1002, ack: 5002 })).toBe('Forward');
    expect(talk.server(ACK, { seq: 5002, ack: 1002 })).toBe('Forward');
    expect(talk.client(SYN, { seq: 90_000, ack: 0 })).toBe('Forward');
    expect(talk.state).toBe('new');
  });

  it('closes behind keep-alives, probes of a closed window and acknowledgements sent twice', () => {
    talk.open();
    expect(talk.client(ACK, { seq: 1000, ack: 5001 })).toBe('Forward');
    expect(talk.client(ACK, { seq: 1000, ack: 5001, bytes: 1 })).toBe('Forward');
    expect(talk.server(ACK, { seq: 5001, ack: 1001, window: 0 })).toBe('Forward');
    expect(talk.client(ACK, { seq: 1001, ack: 5001, bytes: 1 })).toBe('Forward');
    for (let i = 0; i < 3; i++) expect(talk.server(ACK, { seq: 5001, ack: 1001 })).toBe('Forward');
    talk.client(FIN | ACK, { seq: 1002, ack: 5001 });
    expect(talk.state).toBe('closing');
    // The FIN comes again.
    talk.client(FIN | ACK, { seq: 1002, ack: 5001 });
    expect(talk.state).toBe('closing');
  });

  it('follows numbers over their end, and superframes', () => {
    const first = 2 ** 32 - 10;
    talk.client(SYN, { seq: first, ack: 0, window: 65535 });
    talk.server(SYN | ACK, { seq: 5000, ack: first + 1, window: 65535 });
    talk.client(ACK, { seq: first + 1, ack: 5001 });
    talk.client(ACK, { seq: first + 1, ack: 5001, bytes: 1000 });
    const next = (first + 1001) % 2 ** 32;
    talk.server(ACK, { seq: 5001, ack: next, bytes: 1000 });
    talk.server(FIN | ACK, { seq: 6001, ack: next });
    expect(talk.state).toBe('closing');
  });

  it('scales windows only where both sides said so (RFC 7323 §2.2)', () => {
    const far = 5001 + 512 * 2 ** 7;
    talk.open(7);
    talk.client(ACK, { seq: 1001, ack: 5001 });
    talk.server(FIN | ACK, { seq: far, ack: 1001 });
    expect(talk.state).toBe('closing');
    talk = new Conversation(noIngress, { family });
    talk.client(SYN, { seq: 1000, ack: 0, options: Uint8Array.of(1, 3, 3, 7) });
    talk.server(SYN | ACK, { seq: 5000, ack: 1001 });
    talk.client(ACK, { seq: 1001, ack: 5001 });
    talk.server(FIN | ACK, { seq: far, ack: 1001 });
    expect(talk.state).toBe('established');
    talk.server(FIN | ACK, { seq: 5001 + 512, ack: 1001 });
    expect(talk.state).toBe('closing');
  });

  it.each([0, FIN, SYN | FIN, SYN | RST, RST | FIN | ACK, PSH, URG, FIN | PSH | URG, SYN | FIN | ACK])(
    'is never a segment with flags %i',
    (flags) => {
      const free = new Conversation({}, { family });
      expect(free.client(flags)).toBe('ConnectionInvalid');
      expect(free.node.wasm.flowsCount()).toBe(0);
      free.open();
      expect(free.server(flags)).toBe('ConnectionInvalid');
      expect(free.state).toBe('established');
    },
  );

  it('is not opened by a stray packet, whose answer is judged for itself', () => {
    for (const flags of [SYN | ACK, ACK, FIN | ACK, RST, RST | ACK, ACK | PSH]) {
      for (const bytes of [0, 100]) {
        // From the server of a connection that never was, to a pod that may not connect to it.
        const stray = new Conversation(noEgress, { family });
        expect(stray.server(flags, { bytes })).toBe('Forward');
        expect(stray.node.wasm.flowsCount()).toBe(0);
        expect(stray.client(SYN, { ack: 0 })).toBe('PolicyEgress');
        expect(stray.client(ACK)).toBe('PolicyEgress');
        expect(stray.client(ACK, { bytes: 10 })).toBe('PolicyEgress');
        expect(stray.client(RST)).toBe('PolicyEgress');
      }
    }
  });

  it('is not asked for by the answer to another connection', () => {
    // The pod may not connect; the peer has, from the port that it serves at, and the pod would answer with a SYN.
    const talk = new Conversation(noEgress, { family, isClient: false });
    talk.open();
    expect(talk.server(ACK, { seq: 5001, ack: 1001 })).toBe('Forward');
    expect(talk.server(SYN, { seq: 1, ack: 0 })).toBe('PolicyEgress');
    expect(talk.server(ACK, { seq: 5001, ack: 1001 })).toBe('Forward');
  });

  it('opened from both sides at once needs both to be allowed to', () => {
    const both = new Conversation({}, { family });
    expect(both.client(SYN, { seq: 1000, ack: 0 })).toBe('Forward');
    expect(both.server(SYN, { seq: 5000, ack: 0 })).toBe('Forward');
    expect(both.client(SYN | ACK, { seq: 1000, ack: 5001 })).toBe('Forward');
    expect(both.server(SYN | ACK, { seq: 5000, ack: 1001 })).toBe('Forward');
    expect(both.client(ACK, { seq: 1001, ack: 5001 })).toBe('Forward');
    expect(both.server(ACK, { seq: 5001, ack: 1001 })).toBe('Forward');
    expect(both.state).toBe('established');
    expect(talk.client(SYN, { seq: 1000, ack: 0 })).toBe('Forward');
    expect(talk.server(SYN, { seq: 5000, ack: 0 })).toBe('PolicyIngress');
    expect(talk.server(SYN | ACK, { seq: 5000, ack: 1001 })).toBe('Forward');
  });

  it('is picked up where the table has lost it, by the client’s next segment', () => {
    // A server’s segment does not show who opened the connection, so it is judged for itself.
    expect(talk.server(ACK, { seq: 5001, ack: 1001, bytes: 100 })).toBe('PolicyIngress');
    expect(talk.client(ACK, { seq: 1001, ack: 5001, bytes: 10 })).toBe('Forward');
    expect(talk.server(ACK, { seq: 5001, ack: 1011, bytes: 100 })).toBe('Forward');
    expect(talk.state).toBe('established');
    expect(talk.server(SYN, { seq: 1, ack: 0 })).toBe('PolicyIngress');
    talk.server(FIN | ACK, { seq: 5101, ack: 1011 });
    expect(talk.state).toBe('closing');
  });

  it('is picked up by a keep-alive, too', () => {
    expect(talk.client(ACK, { seq: 1000, ack: 5001 })).toBe('Forward');
    expect(talk.server(ACK, { seq: 5001, ack: 1001 })).toBe('Forward');
    expect(talk.state).toBe('established');
  });

  it('is not picked up where policy would not let the client open it', () => {
    const cut = new Conversation(noIngress, { family, isClient: false });
    expect(cut.client(ACK, { bytes: 10 })).toBe('PolicyIngress');
    // The server goes on sending, as it is free to. That does not bring the connection back.
    expect(cut.server(ACK, { bytes: 100 })).toBe('Forward');
    expect(cut.client(ACK)).toBe('PolicyIngress');
    expect(cut.node.wasm.flowsCount()).toBe(0);
  });

  it('outlives the loss of its entry between pods that policy leaves alone', () => {
    for (const isClient of [true, false]) {
      const free = new Conversation({}, { family, isClient });
      expect(free.server(ACK, { seq: 5001, ack: 1001, bytes: 100 })).toBe('Forward');
      expect(free.client(ACK, { seq: 1001, ack: 5101 })).toBe('Forward');
      expect(free.server(ACK, { seq: 5101, ack: 1001, bytes: 100 })).toBe('Forward');
      expect(free.state).toBe('established');
    }
  });

  it('is judged anew by its own packets when policy changes, and each way only by the new (NetworkPolicy 22)', () => {
    const free = new Conversation({}, { family });
    free.open();
    free.node.publish(tablesOf(1, noIngress));
    expect(free.server(ACK, { seq: 5001, ack: 1001 })).toBe('Forward');
    free.node.publish(tablesOf(1, noEgress));
    expect(free.server(ACK, { seq: 5001, ack: 1001 })).toBe('PolicyEgress');
    expect(free.client(ACK, { seq: 1001, ack: 5001 })).toBe('PolicyEgress');
  });
});

describe.each(families)('NetworkPolicy 24: later fragments of TCP over IPv%i', (family) => {
  const whole = tcp({ src: pod(family, 2, 2), dst: pod(family, 1, 2) }, { flags: ACK }, new Uint8Array(64));
  const piece = (offset: number, more: boolean) => {
    const between = { src: pod(family, 2, 2), dst: pod(family, 1, 2), protocol: 6 };
    const part = whole.slice(offset, more ? offset + 40 : undefined);
    return family === 4
      ? ipv4({ ...between, id: 9, mf: more, offset }, part)
      : ipv6({ ...between, extensions: [fragmentHeader(offset, more, 9)] }, part);
  };

  it('may not be put over the header', () => {
    const node = nodeOf(1);
    expect(fate(node.ingress(fromPeer(1, piece(0, true))))).toBe('Forward');
    expect(fate(node.ingress(fromPeer(1, piece(8, true))))).toBe('FragmentMalformed');
    expect(fate(node.ingress(fromPeer(1, piece(40, false))))).toBe('Forward');
  });
});

describe.each(families)('SCTP over IPv%i', (family) => {
  const [INIT, INIT_ACK, DATA, ABORT, SHUTDOWN_COMPLETE, COOKIE_ECHO, COOKIE_ACK] = [1, 2, 0, 6, 14, 10, 11];
  const [toClient, toServer] = [0xc11e, 0x5e12];
  let node: TestNode;
  beforeEach(() => {
    node = nodeOf(1, noIngress);
  });

  const chunk = (type: number, body: Uint8Array, flags = 0) =>
    concat(be(type, 1), be(flags, 1), be(4 + body.length, 2), body, new Uint8Array(-body.length & 3));
  const init = (type: number, tag: number) =>
    chunk(type, concat(be(tag, 4), be(1500, 4), be(1, 2), be(1, 2), be(1, 4)));
  const data = chunk(0, new Uint8Array(16));
  const bare = (type: number, flags = 0) => chunk(type, new Uint8Array(), flags);
  function pass(fromClient: boolean, tag: number, body: Uint8Array): string {
    const [own, peer] = [pod(family, 1, 2), pod(family, 2, 2)];
    const ports = fromClient ? concat(be(CLIENT, 2), be(SERVER, 2)) : concat(be(SERVER, 2), be(CLIENT, 2));
    const between = fromClient ? { src: own, dst: peer } : { src: peer, dst: own };
    const packet = ipPacket({ ...between, protocol: 132 }, concat(ports, be(tag, 4), be(0, 4), body));
    return fate(fromClient ? node.egress(fromPod(1, 2, packet)) : node.ingress(fromPeer(1, packet)));
  }
  const client = (tag: number, body: Uint8Array) => pass(true, tag, body);
  const server = (tag: number, body: Uint8Array) => pass(false, tag, body);
  function open() {
    expect(client(0, init(INIT, toClient))).toBe('Forward');
    expect(statesOf(node)).toEqual(['new']);
    expect(server(toClient, init(INIT_ACK, toServer))).toBe('Forward');
    expect(statesOf(node)).toEqual(['answered']);
    expect(client(toServer, bare(COOKIE_ECHO))).toBe('Forward');
    expect(server(toClient, bare(COOKIE_ACK))).toBe('Forward');
    expect(statesOf(node)).toEqual(['established']);
  }

  it('goes from INIT to SHUTDOWN COMPLETE', () => {
    open();
    expect(client(toServer, data)).toBe('Forward');
    expect(server(toClient, data)).toBe('Forward');
    node.clock += 210_000;
    expect(server(toClient, data)).toBe('Forward');
    expect(client(toServer, bare(SHUTDOWN_COMPLETE))).toBe('Forward');
    expect(statesOf(node)).toEqual(['reset']);
  });

  it('is moved by nothing under a wrong tag', () => {
    expect(client(0, init(INIT, toClient))).toBe('Forward');
    server(toClient + 1, init(INIT_ACK, toServer));
    expect(statesOf(node)).toEqual(['new']);
    node = nodeOf(1, noIngress);
    open();
    for (const tag of [1, toServer]) server(tag, bare(ABORT));
    server(toClient, bare(ABORT, 1));
    expect(statesOf(node)).toEqual(['established']);
    server(toServer, bare(ABORT, 1));
    expect(statesOf(node)).toEqual(['reset']);
  });

  it('is never a packet whose tag is 0 but a lone INIT', () => {
    node = nodeOf(1);
    expect(client(0, data)).toBe('ConnectionInvalid');
    expect(client(0, concat(init(INIT, 1), data))).toBe('ConnectionInvalid');
    expect(client(0, init(INIT, 0))).toBe('ConnectionInvalid');
    expect(client(0, init(INIT, 1).slice(0, 12))).toBe('ConnectionInvalid');
    expect(client(7, init(INIT, 1))).toBe('ConnectionInvalid');
    expect(node.wasm.flowsCount()).toBe(0);
  });

  it('is not opened by a stray packet', () => {
    node = nodeOf(1, noEgress);
    for (const [type, flags] of [[DATA], [INIT_ACK], [ABORT, 1], [COOKIE_ECHO], [COOKIE_ACK], [5]] as const)
      expect(server(7, bare(type, flags))).toBe('Forward');
    expect(node.wasm.flowsCount()).toBe(0);
    expect(client(0, init(INIT, 1))).toBe('PolicyEgress');
    expect(client(7, data)).toBe('PolicyEgress');
  });

  it('is picked up by the client’s next packet', () => {
    expect(server(toClient, data)).toBe('PolicyIngress');
    expect(client(toServer, data)).toBe('Forward');
    expect(server(toClient, data)).toBe('Forward');
    expect(statesOf(node)).toEqual(['established']);
    server(toClient + 1, bare(ABORT));
    expect(statesOf(node)).toEqual(['established']);
  });
});

describe.each(families)('echo over IPv%i', (family) => {
  const there = { src: pod(family, 1, 2), dst: pod(family, 2, 2) };
  const back = { src: pod(family, 2, 2), dst: pod(family, 1, 2) };
  const body = new Uint8Array(8);

  it('is not opened by a reply, nor is a request the reply to another’s', () => {
    const node = nodeOf(1, noEgress);
    const send = (packet: Uint8Array) => fate(node.egress(fromPod(1, 2, packet)));
    const receive = (packet: Uint8Array) => fate(node.ingress(fromPeer(1, packet)));
    expect(receive(echoPacket(back, 7, body, true))).toBe('Forward');
    expect(node.wasm.flowsCount()).toBe(0);
    expect(send(echoPacket(there, 7))).toBe('PolicyEgress');
    expect(receive(echoPacket(back, 7))).toBe('Forward');
    expect(send(echoPacket(there, 7, body, true))).toBe('Forward');
    expect(send(echoPacket(there, 7))).toBe('PolicyEgress');
  });
});

it('a full table does not keep an own node’s packets from a pod that may send nothing', () => {
  const node = nodeOf(1, { ports: { 2: { egress: closed, ingress: closed } } }, { flowBuckets: 1 });
  for (let port = 1; port <= 12; port++) {
    const packet = udpPacket({ src: '192.0.2.1', dst: pod(4, 1, 2) }, { sport: port, dport: 9 });
    const answer = udpPacket({ src: pod(4, 1, 2), dst: '192.0.2.1' }, { sport: 9, dport: port });
    expect(fate(node.egress(fromPod(1, 0, packet)))).toBe('Forward');
    expect(fate(node.egress(fromPod(1, 2, answer)))).toBe('Forward');
  }
});
