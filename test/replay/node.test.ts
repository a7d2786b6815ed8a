import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { readCapture } from '../../src/capture-file/reader.ts';
import { CaptureWriter } from '../../src/capture-file/writer.ts';
import { labConfig } from '../../src/lab/config.ts';
import { labManifests } from '../../src/lab/manifests.ts';
import { encapsulations, type LabPlan, planLab, underlays } from '../../src/lab/plan.ts';
import { derivedMac, formatMac } from '../../src/net/mac.ts';
import { type Decoded, readDecoded } from '../../src/replay/decoded.ts';
import { Inspector } from '../../src/replay/inspector.ts';
import { loadNode } from '../../src/replay/node.ts';
import type { ReplayedPacket } from '../../src/replay/replay.ts';
import { arp, ethernet, hopped, tcpPacket, udpPacket, vxlan } from '../support/packets.ts';
import { overweft } from '../support/run.ts';

const ETHERNET = 1;
const RAW = 101;

const routerMac = (node: string) => formatMac(derivedMac('router', node));

/** A lab of two nodes with a pod each, on paper. */
class PaperLab implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'overweft-node-'));
  readonly plan: LabPlan;

  constructor(
    encapsulation: (typeof encapsulations)[number],
    underlay: (typeof underlays)[number],
    more: object = {},
  ) {
    const options = { encapsulation, underlay, nodes: 2, podsPerNode: 1 };
    this.plan = planLab(options, this.folder);
    mkdirSync(this.plan.manifests, { recursive: true });
    for (const [name, manifest] of labManifests(this.plan))
      writeFileSync(join(this.plan.manifests, name), stringify(manifest));
    for (const node of this.plan.nodes)
      writeFileSync(this.config(node.name), stringify({ ...labConfig(options, this.plan, node), ...more }));
  }

  config(node: string): string {
    return join(this.folder, `${node}.yaml`);
  }

  /** Replays packets at a node: what is said of them, and what it would have sent. */
  async at(node: string, linkType: number, ...packets: readonly Uint8Array[]) {
    const input = join(this.folder, 'in.pcapng');
    const output = join(this.folder, 'out.pcapng');
    {
      using writer = new CaptureWriter(input, [{ linkType }]);
      for (const data of packets) writer.write({ data, time: 1_700_000_000_000_000_000n });
    }
    const { status, stdout, stderr } = await overweft([
      ...['replay', '--json', '--config', this.config(node), '--manifests', this.plan.manifests],
      ...['--out', output, input],
    ]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const said = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as ReplayedPacket);
    const sent = [...readCapture(output)].map(({ linkType, data }) => ({
      linkType,
      data: Buffer.from(data),
    }));
    return { said, sent };
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true });
  }
}

const inspector = new Inspector();
const decode = (linkType: number, data: Uint8Array): Decoded =>
  readDecoded(inspector.inspect({ linkType, data, original: data.length }));

const between = {
  ipv4: { src: '10.244.1.2', dst: '10.244.2.3' },
  ipv6: { src: 'fd00:244:1::2', dst: 'fd00:244:2::3' },
} as const;

async function podFrame(lab: PaperLab, pod: string, packet: Uint8Array): Promise<Uint8Array> {
  const [node] = lab.plan.pods.flatMap(({ name, node }) => (name === pod ? [node] : []));
  const { ports } = await loadNode(lab.config(node as string));
  const port = ports.find((one) => one.pod === `default/${pod}`);
  if (!port) throw new Error(`${pod} has no port`);
  return ethernet({ src: formatMac(port.mac), dst: routerMac(node as string) }, packet);
}

describe.each(encapsulations)('%s', (encapsulation) => {
  describe.each(underlays)('over %s', (underlay) => {
    let lab: PaperLab;
    beforeAll(() => {
      lab = new PaperLab(encapsulation, underlay);
    });
    afterAll(() => lab[Symbol.dispose]());

    it.each(underlays)('carries %s from a pod of one node to a pod of the other', async (inner) => {
      const packet = tcpPacket(between[inner], { flags: 2, sport: 40000, dport: 80 });
      const atFirst = await lab.at('node-1', ETHERNET, await podFrame(lab, 'pod-1', packet));
      expect(atFirst.said).toMatchObject([{ n: 1, verdict: 'forward', reason: null }]);
      expect(atFirst.sent).toHaveLength(1);
      const [datagram] = atFirst.sent;
      const outerOf = (i: number) =>
        lab.plan.nodes[i]?.ips.find((ip) => ip.includes(':') === (underlay === 'ipv6'));
      expect(decode(RAW, datagram?.data as Buffer)).toMatchObject({
        outer: { src: outerOf(0), dst: outerOf(1), checksum: encapsulation === 'ipip' ? 'none' : 'ok' },
        tunnel: { type: encapsulation },
        inner: { ip: { ...between[inner], ttl: 63 }, l4: { sport: 40000, dport: 80, checksum: 'ok' } },
        verdict: 'forward',
      });

      const atSecond = await lab.at('node-2', RAW, datagram?.data as Buffer);
      expect(atSecond.said).toMatchObject([
        { verdict: 'forward', reason: null, tunnel: { type: encapsulation } },
      ]);
      expect(atSecond.sent).toMatchObject([{ linkType: ETHERNET }]);
      expect(atSecond.sent[0]?.data.subarray(14).toString('hex')).toBe(
        Buffer.from(hopped(packet)).toString('hex'),
      );
    });
  });
});

describe('a node', () => {
  let lab: PaperLab;
  beforeAll(() => {
    lab = new PaperLab('vxlan', 'ipv4');
  });
  afterAll(() => lab[Symbol.dispose]());

  const { src, dst } = between.ipv4;
  const tunnelled = (inner: Uint8Array, vni = 1, source = '192.0.2.1') =>
    udpPacket({ src: source, dst: '192.0.2.2' }, { sport: 50000, dport: 4789 }, vxlan(vni, inner));
  const toPod = (packet: Uint8Array) =>
    ethernet({ src: '02:00:00:00:00:01', dst: routerMac('node-2') }, packet);

  it.each<[string, Uint8Array]>([
    ['unknown-peer', tunnelled(toPod(tcpPacket({ src, dst }, {})), 1, '192.0.2.99')],
    ['vxlan-wrong-vni', tunnelled(toPod(tcpPacket({ src, dst }, {})), 2)],
    ['inner-source-spoofed', tunnelled(toPod(tcpPacket({ src: '10.244.9.9', dst }, {})))],
    [
      'outer-checksum',
      udpPacket(
        { src: '192.0.2.1', dst: '192.0.2.2' },
        { dport: 4789, checksum: 1 },
        vxlan(1, toPod(tcpPacket({ src, dst }, {}))),
      ),
    ],
  ])('drops from the underlay: %s', async (reason, packet) => {
    const { said, sent } = await lab.at('node-2', RAW, packet);
    expect(said).toMatchObject([{ verdict: 'drop', reason }]);
    expect(sent).toEqual([]);
  });

  it('says so, to the sender, where no such pod lives', async () => {
    const packet = tunnelled(toPod(tcpPacket({ src, dst: '10.244.2.200' }, {})));
    const { said, sent } = await lab.at('node-2', RAW, packet);
    expect(said).toMatchObject([{ verdict: 'drop', reason: 'no-endpoint' }]);
    expect(sent.map(({ data }) => decode(RAW, data))).toMatchObject([
      { outer: { dst: '192.0.2.1' }, tunnel: { type: 'vxlan' }, inner: { ip: { dst: src, protocol: 1 } } },
    ]);
  });

  it('drops what a pod sends under another address', async () => {
    const frame = await podFrame(lab, 'pod-1', tcpPacket({ src: '10.244.1.77', dst }, {}));
    expect((await lab.at('node-1', ETHERNET, frame)).said).toMatchObject([
      { verdict: 'drop', reason: 'source-spoofed' },
    ]);
  });

  it('answers ARP for the gateway', async () => {
    const { ports } = await loadNode(lab.config('node-1'));
    const mac = formatMac(ports.find(({ pod }) => pod === 'default/pod-1')?.mac ?? new Uint8Array());
    const question = ethernet(
      { src: mac, dst: 'ff:ff:ff:ff:ff:ff', type: 0x0806 },
      arp({ operation: 1, senderMac: mac, senderIp: src, targetIp: '169.254.1.1' }),
    );
    const { said, sent } = await lab.at('node-1', ETHERNET, question);
    expect(said).toMatchObject([{ verdict: 'forward', reason: null }]);
    expect(sent).toMatchObject([{ linkType: ETHERNET }]);
    expect(sent[0]?.data.subarray(0, 6).toString('hex')).toBe(mac.replaceAll(':', ''));
  });

  it('takes packets without an Ethernet header for what the pod’s kernel would have framed', async () => {
    const { said, sent } = await lab.at('node-1', RAW, tcpPacket({ src, dst }, { flags: 2 }));
    expect(said).toMatchObject([{ verdict: 'forward', inner: { ethernet: null } }]);
    expect(sent).toHaveLength(1);
  });

  it('completes the checksum, and cuts up the superframe, that a capture at the sender shows', async () => {
    const packet = tcpPacket({ src, dst }, { checksum: 'partial' }, new Uint8Array(4000).fill(7));
    const { said, sent } = await lab.at('node-1', ETHERNET, await podFrame(lab, 'pod-1', packet));
    expect(said).toMatchObject([{ verdict: 'forward', inner: { l4: { checksum: 'partial' } } }]);
    const inner = sent.map(({ data }) => decode(RAW, data).inner);
    expect(inner).toHaveLength(3);
    for (const one of inner) expect(one?.l4?.checksum).toBe('ok');
  });

  it('leaves alone what does not concern it', async () => {
    const { said, sent } = await lab.at(
      'node-1',
      RAW,
      tcpPacket({ src: '198.51.100.1', dst: '203.0.113.1' }, {}),
    );
    expect(said).toMatchObject([{ verdict: 'forward', reason: null }]);
    expect(sent).toEqual([]);
  });

  it('knows connections that it has seen begin', async () => {
    const policy = {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'quiet', namespace: 'default' },
      spec: { podSelector: { matchLabels: { app: 'pod-1' } }, policyTypes: ['Ingress'] },
    };
    using guarded = new PaperLab('vxlan', 'ipv4');
    writeFileSync(join(guarded.plan.manifests, 'policy.yaml'), stringify(policy));
    const question = await podFrame(
      guarded,
      'pod-1',
      tcpPacket({ src, dst }, { flags: 2, sport: 40000, dport: 80 }),
    );
    const fromPeer = (sport: number) =>
      udpPacket(
        { src: '192.0.2.2', dst: '192.0.2.1' },
        { sport: 50000, dport: 4789 },
        vxlan(1, toPod(tcpPacket({ src: dst, dst: src }, { flags: 0x12, sport, dport: 40000 }))),
      );
    const asFrame = (packet: Uint8Array) =>
      ethernet({ src: '02:00:00:00:00:05', dst: '02:00:00:00:00:06' }, packet);
    const { said } = await guarded.at(
      'node-1',
      ETHERNET,
      asFrame(fromPeer(80)),
      question,
      asFrame(fromPeer(80)),
    );
    expect(said.map(({ verdict }) => verdict)).toEqual(['drop', 'forward', 'forward']);
    expect(said[0]?.reason).toMatch(/^(policy-ingress|connection-invalid)$/);
  });
});

describe('overweft replay --config', () => {
  it('says what is wrong with manifests', async () => {
    using lab = new PaperLab('vxlan', 'ipv4');
    writeFileSync(join(lab.plan.manifests, 'bad.yaml'), 'apiVersion: v1\nkind: Pod\nmetadata: {}\n');
    const { status, stderr } = await overweft(['replay', '--config', lab.config('node-1'), 'none.pcap']);
    expect(status).toBe(1);
    expect(stderr).toContain('bad.yaml');
  });

  it.each(['--manifests', '--out'])('is needed for %s', async (option) => {
    const { status, stderr } = await overweft(['replay', option, '/nowhere', 'none.pcap']);
    expect(status).toBe(1);
    expect(stderr).toContain(`${option} needs --config`);
  });
});
