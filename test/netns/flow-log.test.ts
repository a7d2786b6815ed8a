// The flow log of real daemons, over real sockets.
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { daemonStatus } from '../../src/daemon/client.ts';
import { daemonReady, startDaemon } from '../../src/lab/daemon.ts';
import { type Traffic, trafficIn } from '../../src/lab/traffic.ts';
import { type Lab, labUp } from '../support/lab.ts';
import { program } from '../support/overweft-node.ts';
import { describeWith, root, tun } from '../support/requires.ts';
import { isRunning } from '../support/run.ts';
import { service, slice } from '../support/services.ts';

interface Line {
  readonly event: string;
  readonly source: { readonly ip: string; readonly port?: number; readonly pod?: string };
  readonly destination: { readonly ip: string; readonly port?: number; readonly pod?: string };
  readonly protocol: string;
  readonly frontend?: { readonly port: number };
  readonly sent?: { readonly packets: number; readonly bytes: number };
}

describeWith([root, tun], 'flow log', () => {
  let lab: Lab;
  let client: Traffic;
  let server: Traffic;
  const address = '10.244.2.3';

  beforeAll(async () => {
    lab = await labUp();
    client = trafficIn('ow-pod1');
    server = trafficIn('ow-pod2');
    await server.listen({ port: 5001, mode: 'sink' });
    for (const node of lab.nodes) {
      writeFileSync(node.config, `${readFileSync(node.config, 'utf8')}flowLog:\n  file: ${fileOf(node)}\n`);
      process.kill(node.pid, 'SIGTERM');
      await vi.waitFor(() => expect(isRunning(node.pid)).toBe(false), { timeout: 20_000 });
      await daemonReady(startDaemon(node, program));
    }
  });
  afterAll(async () => {
    await client?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    await lab?.[Symbol.asyncDispose]();
  });

  const fileOf = (node: { readonly config: string }) => join(dirname(node.config), 'flows.jsonl');
  const read = (file: string): Line[] =>
    existsSync(file)
      ? readFileSync(file, 'utf8')
          .split('\n')
          .slice(0, -1)
          .map((line) => JSON.parse(line) as Line)
      : [];
  const linesOf = (index: number) => read(fileOf(lab.nodes[index] ?? expect.fail('no such node')));
  const tcpTo = (port: number, lines: Line[]) =>
    lines.filter(({ protocol, destination }) => protocol === 'TCP' && destination.port === port);

  it('names the Service of a connection', async () => {
    await server.listen({ port: 5002, mode: 'echo' });
    const items = [
      service({ ports: [{ name: 'bulk', port: 80, targetPort: 5002 }] }),
      slice([{ ip: address, node: 'node-2', ready: true }], { ports: [{ name: 'bulk', port: 5002 }] }),
    ];
    writeFileSync(`${lab.manifests}/service.json`, JSON.stringify({ kind: 'List', apiVersion: 'v1', items }));
    const knock = () => client.connect({ address: '10.96.0.10', port: 80, timeoutMs: 2000 });
    await expect.poll(async () => (await knock()).connected, { timeout: 20_000 }).toBe(true);
    const frontend = { ip: '10.96.0.10', port: 80, service: 'default/web', portName: 'bulk' };
    await vi.waitFor(
      () =>
        expect(linesOf(0).filter((line) => line.frontend?.port === 80)).toContainEqual(
          expect.objectContaining({
            event: 'opened',
            source: expect.objectContaining({ pod: 'default/pod-1' }),
            destination: { ip: address, port: 5002, pod: 'default/pod-2' },
            frontend,
          }),
        ),
      { timeout: 20_000 },
    );
    // The endpoint's node sees what it gets.
    expect(linesOf(1).filter((line) => line.frontend)).toEqual([]);
    rmSync(`${lab.manifests}/service.json`);
  }, 60_000);

  it('tells on both nodes of a connection, with pods and all its bytes', async () => {
    const bytes = 3_000_000;
    expect(await client.send({ address, port: 5001, bytes })).toMatchObject({ bytes });
    for (const index of [0, 1]) {
      const events = () => tcpTo(5001, linesOf(index)).map(({ event }) => event);
      await expect.poll(events).toEqual(['opened', 'closed']);
      const [opened, closed] = tcpTo(5001, linesOf(index));
      const ends = {
        node: `node-${index + 1}`,
        source: { ip: '10.244.1.2', pod: 'default/pod-1' },
        destination: { ip: address, port: 5001, pod: 'default/pod-2' },
        verdict: 'forward',
      };
      expect(opened).toMatchObject(ends);
      expect(closed).toMatchObject({ ...ends, reason: 'finished' });
      expect(closed?.sent?.bytes).toBeGreaterThan(bytes);
    }
  });

  it('tells what policy denies, and by which', async () => {
    writeFileSync(
      `${lab.manifests}/shut.yaml`,
      JSON.stringify({
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: { name: 'shut', namespace: 'default' },
        spec: { podSelector: { matchLabels: { app: 'pod-2' } }, policyTypes: ['Ingress'] },
      }),
    );
    const denied = async () =>
      (await client.connect({ address, port: 5002, timeoutMs: 1300 })).error === 'timeout';
    await expect.poll(denied).toBe(true);
    const lines = () => tcpTo(5002, linesOf(1)).filter(({ event }) => event === 'denied');
    await expect.poll(() => lines().length).toBeGreaterThan(0);
    expect(lines()[0]).toMatchObject({
      node: 'node-2',
      source: { ip: '10.244.1.2', pod: 'default/pod-1' },
      destination: { ip: address, port: 5002, pod: 'default/pod-2' },
      verdict: 'policy-ingress',
      direction: 'ingress',
      policies: ['NetworkPolicy:default/shut'],
      rule: null,
    });
  });

  it('goes on in a new file when the old one is renamed, and loses nothing meanwhile', async () => {
    const [node] = lab.nodes;
    if (!node) expect.fail('no node');
    const file = fileOf(node);
    await client.connect({ address, port: 5003, timeoutMs: 100 });
    await expect.poll(() => tcpTo(5003, read(file)).length).toBeGreaterThan(0);
    renameSync(file, `${file}.1`);
    await client.connect({ address, port: 5004, timeoutMs: 100 });
    await expect.poll(() => tcpTo(5004, read(file)).length).toBeGreaterThan(0);
    expect(tcpTo(5003, read(`${file}.1`)).length).toBeGreaterThan(0);
    const { flowLog, counters } = await daemonStatus(node.socket);
    expect(flowLog).toEqual({ file, unwritten: 0 });
    expect(counters.events['events-lost']).toBe(0);
  });
});
