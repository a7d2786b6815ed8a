// A node that finds its underlay by itself, and follows it elsewhere.
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { daemonStatus } from '../../src/daemon/client.ts';
import { ping } from '../../src/lab/traffic.ts';
import { type Lab, labUp, restart } from '../support/lab.ts';
import { netns } from '../support/netns.ts';
import { describeWith, root, tun } from '../support/requires.ts';
import { must, overweft, run } from '../support/run.ts';

describeWith([root, tun], 'underlay', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await labUp();
  });
  afterAll(() => lab?.[Symbol.asyncDispose]());

  const node1 = () => lab.nodes[0] ?? expect.fail('no node');
  const status = () => daemonStatus(node1().socket);
  const withoutAddresses = async (underlay: object) =>
    restart(node1(), (config) => {
      const { underlay: _, ...rest } = config;
      return { ...rest, underlay };
    });
  const reach = () => Promise.all(['10.244.2.3', 'fd00:244:2::3'].map((to) => ping('ow-pod1', to)));

  it('is found where nothing names it', { timeout: 60_000 }, async () => {
    await withoutAddresses({});
    await expect
      .poll(async () => (await status()).underlay, { timeout: 20_000 })
      .toEqual({
        addresses: [
          { address: '192.0.2.1', interface: 'under0', because: 'the InternalIP of the Node object' },
          { address: '2001:db8::1', interface: 'under0', because: 'the InternalIP of the Node object' },
        ],
        fault: null,
      });
    await expect.poll(reach, { timeout: 20_000 }).not.toContain(null);
  });

  it('is found by a pattern, to which the sockets are bound', { timeout: 60_000 }, async () => {
    await withoutAddresses({ interface: 'und*' });
    await expect.poll(reach, { timeout: 20_000 }).not.toContain(null);
    expect(await must('ss', ['-unlp'], { netns: 'ow-node1' })).toContain('192.0.2.1%under0:6081');
  });

  it('is followed to another address, with the connections and in the same process', {
    timeout: 90_000,
  }, async () => {
    await withoutAddresses({});
    await expect.poll(async () => (await status()).underlay.addresses.length, { timeout: 20_000 }).toBe(2);
    const { pid } = await status();
    const address = (...args: string[]) => must('ip', ['-n', 'ow-node1', 'address', ...args]);
    await address('del', '192.0.2.1/24', 'dev', 'under0');
    await address('add', '192.0.2.101/24', 'dev', 'under0');
    const file = `${lab.manifests}/node-1.yaml`;
    writeFileSync(file, readFileSync(file, 'utf8').replace('192.0.2.1', '192.0.2.101'));
    await expect
      .poll(async () => (await status().catch(() => undefined))?.underlay.addresses[0]?.address, {
        timeout: 40_000,
      })
      .toBe('192.0.2.101');
    expect((await status()).pid).toBe(pid);
    await expect.poll(reach, { timeout: 20_000 }).not.toContain(null);
  });

  it('says what it has looked at where nothing fits', async () => {
    await using empty = await netns('ow-pod9');
    const config = `${lab.manifests}/../empty.yaml`;
    const { underlay: _, ...rest } = parse(readFileSync(node1().config, 'utf8'));
    writeFileSync(config, stringify({ ...rest, runDirectory: `${lab.manifests}/../empty-run` }));
    const { status: code, stderr } = await run(
      process.execPath,
      ['src/bin/overweft.mjs', 'run', '--config', config],
      { netns: empty.name },
    );
    expect(code).not.toBe(0);
    expect(stderr).toContain(
      'underlay.addresses: none is configured, and none fits (there is no interface but lo)',
    );
  });

  it('is read from the Node object where packets are replayed', async () => {
    const { underlay: _, ...rest } = parse(readFileSync(node1().config, 'utf8'));
    const config = `${lab.manifests}/../replay.yaml`;
    writeFileSync(config, stringify(rest));
    const { status: code, stderr } = await overweft([
      ...['replay', '--config', config, '--manifests', lab.manifests],
      'test/fixtures/lab-pod.pcapng',
    ]);
    expect(code, stderr).toBe(0);
  });
});
