// A daemon's life: counters that add up, manifests that change, a crash under load, no rights where packets are handled.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { daemonStatus } from '../../src/daemon/client.ts';
import { daemonReady, startDaemon } from '../../src/lab/daemon.ts';
import { type Traffic, trafficIn } from '../../src/lab/traffic.ts';
import { answersPing } from '../support/answers-ping.ts';
import { type Lab, labLogs, labUp } from '../support/lab.ts';
import { program } from '../support/overweft-node.ts';
import { describeWith, root, tun } from '../support/requires.ts';
import { isRunning } from '../support/run.ts';

describeWith([root, tun], 'daemon in operation', () => {
  let lab: Lab;
  let client: Traffic;
  let server: Traffic;
  const [sinkPort, echoPort] = [5001, 5002];
  const address = '10.244.2.3';

  beforeAll(async () => {
    lab = await labUp();
    client = trafficIn('ow-pod1');
    server = trafficIn('ow-pod2');
    await server.listen({ port: sinkPort, mode: 'sink' });
    await server.listen({ port: echoPort, mode: 'echo' });
  });
  afterAll(async () => {
    await client?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    await lab?.[Symbol.asyncDispose]();
  });

  it('accounts for every received frame, at any moment under load', async () => {
    const load = client.send({ address, port: sinkPort, seconds: 2 });
    let samples = 0;
    for (let over = false; !over; samples++) {
      over = await Promise.race([load.then(() => true), sleep(50, false)]);
      for (const node of lab.nodes) {
        const { received, forwarded, consumed, dropped } = (await daemonStatus(node.socket)).counters;
        const drops = Object.values(dropped).reduce((sum, count) => sum + count, 0);
        expect(received, node.name).toBe(forwarded + consumed + drops);
        expect(received, node.name).toBeGreaterThan(0);
      }
    }
    expect(samples).toBeGreaterThan(10);
  });

  it('keeps the last good state beside a manifest that is wrong, and says where', async () => {
    const wrong = `${lab.manifests}/wrong.yaml`;
    writeFileSync(
      wrong,
      JSON.stringify({
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: { name: 'wrong', namespace: 'default' },
        spec: { podSelector: {}, ingres: [] },
      }),
    );
    const faults = async () => JSON.stringify((await status(0)).store.faults);
    await expect.poll(faults).toContain('spec.ingres');
    expect(await faults()).toContain('wrong.yaml');
    expect(await answersPing('ow-pod1', address)).toBe(true);
    rmSync(wrong);
    await expect.poll(faults).toBe('[]');
  });

  it('takes up its pods and their connections after a crash under load', async () => {
    const load = client.send({ address, port: sinkPort, seconds: 12, hash: true });
    let loaded = false;
    const over = load.then(() => {
      loaded = true;
    });
    const { connection } = await client.open({ address, port: echoPort });
    expect((await client.beat({ connection, timeoutMs: 10_000 })).answered).toBe(true);
    for (const [index, node] of lab.nodes.entries()) {
      process.kill(pids[index] ?? node.pid, 'SIGKILL');
      expect(loaded, 'the crash came under load').toBe(false);
      const daemon = startDaemon(node, program);
      pids[index] = daemon.pid;
      await daemonReady(daemon);
    }
    await expect.poll(async () => (await client.beat({ connection, timeoutMs: 1000 })).answered).toBe(true);
    await over;
    expect(await load, labLogs(lab)).toMatchObject({ intact: true });
    for (const index of [0, 1]) expect((await status(index)).flows.kept).toBe(true);
  });

  it('comes back after a clean stop as after a crash', async () => {
    const { connection } = await client.open({ address, port: echoPort });
    const node = lab.nodes[1] ?? expect.fail('no second node');
    process.kill(pids[1] ?? node.pid, 'SIGTERM');
    await expect.poll(() => isRunning(pids[1] ?? node.pid)).toBe(false);
    const daemon = startDaemon(node, program);
    pids[1] = daemon.pid;
    await daemonReady(daemon);
    expect((await client.beat({ connection, timeoutMs: 30_000 })).answered).toBe(true);
  });

  it('handles packets in threads without capabilities', async () => {
    const { pid, capabilities } = await status(0);
    expect(capabilities.workers).toEqual(['0x0']);
    const threads = readdirSync(`/proc/${pid}/task`).map((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8'),
    );
    const workers = threads.filter((thread) => /^NoNewPrivs:\s+1$/m.test(thread));
    expect(workers).toHaveLength(1);
    for (const set of ['CapEff', 'CapPrm', 'CapInh', 'CapAmb']) {
      expect(workers[0]).toMatch(new RegExp(`^${set}:\\s+0+$`, 'm'));
    }
  });

  const status = (index: number) => daemonStatus(lab.nodes[index]?.socket ?? '');
  /** Of the daemons that this test has started in the place of the lab's. */
  const pids: number[] = [];
});
