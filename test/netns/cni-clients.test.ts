// The CNI project's own client and plugins beside Overweft's: cnitool on libcni, host-local, tuning, bandwidth.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { answersPing } from '../support/answers-ping.ts';
import { plugin } from '../support/cni.ts';
import { goTools } from '../support/go-tools.ts';
import { type Lab, labUp } from '../support/lab.ts';
import { netns } from '../support/netns.ts';
import { command, describeWith, root, tun } from '../support/requires.ts';
import { type Finished, run } from '../support/run.ts';

const POD = 'owcnit-a';
const NETWORK = 'owcnit';
/** Where libcni keeps them, of all networks. */
const results = '/var/lib/cni/results';

describeWith([root, tun, command('go')], 'clients of the CNI project', () => {
  let lab: Lab;
  let scratch: string;
  let tools: { readonly cnitool: string };

  beforeAll(async () => {
    tools = await goTools('cnitool', 'host-local', 'tuning', 'bandwidth');
    scratch = mkdtempSync(`${tmpdir()}/overweft-cnitool-`);
    mkdirSync(`${scratch}/net.d`);
    lab = await labUp();
  }, 600_000);
  afterEach(async () => {
    await run('ip', ['netns', 'delete', POD]);
    // What libcni remembers of a container that is gone.
    for (const file of existsSync(results) ? readdirSync(results) : [])
      if (file.startsWith(`${NETWORK}-`)) rmSync(`${results}/${file}`);
  });
  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]();
    rmSync(scratch, { recursive: true });
  });

  const configure = (cniVersion: string, more: object = {}, ...others: object[]) => {
    const overweft = { type: 'overweft-cni', socket: lab.nodes[0]?.socket, ...more };
    const list = { cniVersion, name: NETWORK, plugins: [overweft, ...others] };
    writeFileSync(`${scratch}/net.d/10-net.conflist`, JSON.stringify(list));
  };
  const cnitool = (verb: string, capabilities: object = {}): Promise<Finished> =>
    run(tools.cnitool, [verb, NETWORK, `/run/netns/${POD}`], {
      env: {
        NETCONFPATH: `${scratch}/net.d`,
        CNI_PATH: `${dirname(plugin)}:${dirname(tools.cnitool)}`,
        CAP_ARGS: JSON.stringify(capabilities),
      },
    });
  const succeeds = async (verb: string, capabilities?: object): Promise<string> => {
    const { status, stdout, stderr } = await cnitool(verb, capabilities);
    if (status !== 0) throw new Error(`cnitool ${verb}: ${stderr}${stdout}`);
    return stdout;
  };
  const ledger = () =>
    JSON.parse(readFileSync(`${dirname(lab.nodes[0]?.socket ?? '')}/attachments.json`, 'utf8'));

  it.each(['0.3.1', '0.4.0', '1.0.0', '1.1.0'])(
    'cnitool add, check, status, del and gc in %s',
    async (version) => {
      configure(version);
      await netns(POD);
      const result = JSON.parse(await succeeds('add'));
      expect(result).toMatchObject({ cniVersion: version, interfaces: [{ name: 'eth0' }] });
      for (const to of lab.pods[1]?.ips ?? []) expect(await answersPing(POD, to), to).toBe(true);
      if (version !== '0.3.1') await succeeds('check');
      await succeeds('status');
      await succeeds('del');
      await succeeds('del');
      expect(ledger().attachments).toEqual([]);
      await succeeds('add');
      await succeeds('gc');
      expect(ledger().attachments).toEqual([]);
    },
  );

  it('host-local hands out addresses, and gets them back', async () => {
    const dataDir = `${scratch}/addresses`;
    const ranges = [
      [{ subnet: '10.244.1.0/24', rangeStart: '10.244.1.200' }],
      [{ subnet: 'fd00:244:1::/64', rangeStart: 'fd00:244:1::200' }],
    ];
    configure('1.1.0', { ipam: { type: 'host-local', ranges, dataDir } });
    await netns(POD);
    const { ips } = JSON.parse(await succeeds('add'));
    const addresses = ips.map(({ address }: { address: string }) => address);
    expect(addresses).toEqual(['10.244.1.200/32', 'fd00:244:1::200/128']);
    const reserved = () => readdirSync(`${dataDir}/${NETWORK}`).filter((name) => /^[\d.]+$|^fd00/.test(name));
    expect(reserved()).toHaveLength(2);
    for (const to of lab.pods[1]?.ips ?? []) expect(await answersPing(POD, to), to).toBe(true);
    await succeeds('check');
    await succeeds('status');
    await succeeds('del');
    expect(reserved()).toEqual([]);
  });

  it('tuning works behind it, and CHECK tolerates what it has changed', async () => {
    configure('1.1.0', {}, { type: 'tuning', mtu: 1400, allmulti: true });
    await netns(POD);
    expect(JSON.parse(await succeeds('add')).interfaces).toHaveLength(1);
    expect((await run('ip', ['link', 'show', 'eth0'], { netns: POD })).stdout).toContain('mtu 1400');
    expect(await answersPing(POD, lab.pods[1]?.ips[0] ?? '')).toBe(true);
    await succeeds('check');
    await succeeds('del');
  });

  it('bandwidth behind it says that there is no host side', async () => {
    configure('1.1.0', {}, { type: 'bandwidth', capabilities: { bandwidth: true } });
    await netns(POD);
    const limits = { ingressRate: 1_000_000, ingressBurst: 100_000, egressRate: 0, egressBurst: 0 };
    const { status, stdout, stderr } = await cnitool('add', { bandwidth: limits });
    expect(status).not.toBe(0);
    expect(stdout + stderr).toContain('container interface eth0 has no veth peer');
    await succeeds('gc');
    expect(ledger().attachments).toHaveLength(1);
    await run('ip', ['netns', 'delete', POD]);
    await expect.poll(() => ledger().attachments).toEqual([]);
  });
});
