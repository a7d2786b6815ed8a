// Overweft as deploy/ brings it: a DaemonSet on a cluster without a network, in an image like that of the Containerfile.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, it, onTestFailed } from 'vitest';
import { parse, stringify } from 'yaml';
import type { Reach } from '../../src/connectivity/probe.ts';
import type { Status } from '../../src/daemon/status.ts';
import { goTools } from '../support/go-tools.ts';
import { describeWith, go, root, tun } from '../support/requires.ts';
import { overweft } from '../support/run.ts';
import { allAnswers, answersOf, translated } from './support/answers.ts';
import { type Administrator, administrator, condition, overview } from './support/cluster.ts';
import { startContainerd } from './support/containerd.ts';
import { clusterCIDRs, startControlPlane } from './support/control-plane.ts';
import { nodeUser, startKubelet } from './support/kubelet.ts';
import { bootMachines, type Machine, type Machines } from './support/machine.ts';
import { writeOverweftImage } from './support/overweft-image.ts';
import { until } from './support/until.ts';
import { daemonSet, podTemplate } from './support/workloads.ts';

const deploy = fileURLToPath(new URL('../../deploy/', import.meta.url));
/** What the kustomization names, as a runtime spells it out. */
const image = 'docker.io/library/overweft:0.1.0';
const selector = 'app.kubernetes.io/name=overweft';

describeWith([root, tun, go], 'the DaemonSet of deploy/', () => {
  let all: Machines;
  let admin: Administrator;
  let nodes: readonly Machine[];
  /** A user's own kustomization on top of deploy/. */
  let overlay: string;
  let kubeconfig: string;

  beforeAll(async () => {
    all = await bootMachines(3);
    const [one, two, control] = all.machines;
    if (!one || !two || !control) throw new Error('three machines are not there');
    nodes = [one, two];
    overlay = `${control.folder}/overlay`;
    mkdirSync(overlay);
    const archive = `${control.folder}/overweft.tar`;
    const written = writeOverweftImage(image, archive);
    const controlPlane = await startControlPlane(control, nodes.map(nodeUser));
    admin = administrator(controlPlane);
    kubeconfig = controlPlane.kubeconfig({ name: 'admin', groups: ['system:masters'] }, control.folder);
    await written;
    await Promise.all(
      nodes.map(async (machine) => {
        const containerd = await startContainerd(machine, {
          plugins: '/opt/cni/bin',
          configurations: '/etc/cni/net.d',
        });
        await containerd.load(archive);
        await startKubelet(machine, controlPlane);
      }),
    );
    writeOverlay(`https://${control.ips[0]}:6443`, {});
    await until('both nodes are known', async () => (await admin.objects('nodes')).length === 2);
  }, 3_600_000);
  afterAll(() => all?.[Symbol.asyncDispose](), 120_000);
  beforeEach(() =>
    onTestFailed(async () => {
      const said = await admin.kubectl(
        'logs',
        '--namespace=kube-system',
        '-l',
        selector,
        '--prefix',
        '--tail=40',
      );
      const talked = await admin.kubectl('logs', '--ignore-errors', '-l', 'app=talker', '--tail=5');
      console.error(all.logs(), await overview(admin.kubectl), said, talked);
    }),
  );

  /** What docs/operations.md says to look at first, and more. */
  function writeOverlay(server: string, more: object): void {
    const config = parse(readFileSync(`${deploy}config.yaml`, 'utf8'));
    const own = { ...config, store: { ...config.store, server }, podNetwork: { clusterCIDRs }, ...more };
    writeFileSync(`${overlay}/config.yaml`, stringify(own));
    writeFileSync(
      `${overlay}/kustomization.yaml`,
      stringify({
        apiVersion: 'kustomize.config.k8s.io/v1beta1',
        kind: 'Kustomization',
        resources: [relative(overlay, deploy)],
        configMapGenerator: [
          { name: 'overweft', namespace: 'kube-system', behavior: 'replace', files: ['config.yaml'] },
        ],
      }),
    );
  }

  const rolledOut = (...what: string[]) => admin.kubectl('rollout', 'status', ...what, '--timeout=180s');
  const daemonsRolledOut = () => rolledOut('--namespace=kube-system', 'daemonset/overweft');
  const daemons = async (): Promise<string[]> =>
    (await admin.objects('pods', '--namespace=kube-system', '-l', selector))
      .filter(({ metadata }) => !metadata.deletionTimestamp)
      .map(({ metadata }) => metadata.name);
  const statuses = async (): Promise<Status[]> =>
    Promise.all(
      (await daemons()).map(async (name) =>
        JSON.parse(
          await admin.kubectl('exec', '--namespace=kube-system', name, '--', 'overweft', 'status', '--json'),
        ),
      ),
    );

  it('makes the nodes of a cluster without a network ready', async () => {
    for (const node of await admin.objects('nodes')) expect(condition(node, 'Ready')).toBe(false);
    await admin.kubectl('apply', '-k', overlay);
    await daemonsRolledOut();
    await until('both nodes are ready', async () =>
      (await admin.objects('nodes')).every((node) => condition(node, 'Ready')),
    );
    for (const machine of nodes) {
      expect(await machine.must(['ls', '/opt/cni/bin'])).toBe('overweft-cni\n');
      expect(await machine.must(['ls', '/etc/cni/net.d'])).toBe('10-overweft.conflist\n');
    }
  });

  it('runs daemons with what it grants them and no more, which know each other', async () => {
    for (const name of await daemons()) {
      const status = await admin.kubectl(
        ...['exec', '--namespace=kube-system', name, '--'],
        ...['sh', '-c', 'while read -r line; do echo "$line"; done </proc/1/status'],
      );
      // CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN (include/uapi/linux/capability.h).
      expect(status).toMatch(/^CapBnd:\s+0000000000203000$/m);
      expect(status).toMatch(/^Seccomp:\s+2$/m);
    }
    await until('peers are alive', async () =>
      (await statuses()).every(({ peers }) => peers.length === 1 && peers[0]?.state === 'alive'),
    );
    for (const { store } of await statuses())
      expect(store.registration).toEqual({ state: 'published', error: null });
  });

  it('gives pods their network', async () => {
    await admin.apply(daemonSet('web', ['serve', '8080']));
    await rolledOut('daemonset/web');
    const web = await admin.objects('pods', '-l', 'app=web');
    const addresses = web.flatMap(({ status }) => status.podIPs.map(({ ip }: { ip: string }) => ip));
    expect(addresses).toHaveLength(4);
    for (const { metadata } of web) {
      const ask = () => admin.kubectl('exec', metadata.name, '--', '/tool', 'ask', '8080', ...addresses);
      expect(translated(await allAnswers(async () => answersOf(await ask())))).toEqual([]);
    }
  });

  it('is probed from every node in one call', async () => {
    const { kubectl } = await goTools('kubectl');
    const finished = await overweft(['connectivity', '--kubernetes', '--json'], {
      env: { PATH: `${dirname(kubectl)}:${process.env.PATH}`, KUBECONFIG: kubeconfig },
      netns: 'ow-node3',
    });
    const pairs = finished.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Reach);
    expect(finished, JSON.stringify(pairs)).toMatchObject({ status: 0, stderr: '' });
    // From each node to the other and 2 pods, from each pod to both nodes and the other pod; in two families.
    expect(pairs).toHaveLength((2 * 3 + 2 * 3) * 2);
  });

  it('is replaced node after node when its configuration changes, and connections go on', {
    timeout: 900_000,
  }, async () => {
    const [first, second] = nodes;
    if (!first || !second) throw new Error('no two nodes');
    const [web] = await admin.objects(
      'pods',
      '-l',
      'app=web',
      `--field-selector=spec.nodeName=${first.name}`,
    );
    const addresses = web.status.podIPs.map(({ ip }: { ip: string }) => ip);
    const { metadata, spec } = podTemplate('talker', ['talk', '8080', ...addresses], {
      nodeName: second.name,
      restartPolicy: 'Never',
    });
    await admin.apply({ apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, name: 'talker' }, spec });
    const answered = async () => Number((await admin.kubectl('logs', 'talker', '--tail=1')).trim());
    await until('they talk', async () => (await answered()) > 0);

    const before = await daemons();
    const { store } = parse(readFileSync(`${overlay}/config.yaml`, 'utf8'));
    writeOverlay(store.server, { logLevel: 'debug' });
    await admin.kubectl('apply', '-k', overlay);
    await daemonsRolledOut();
    const after = await daemons();
    expect(after.filter((name) => before.includes(name))).toEqual([]);
    for (const { flows } of await statuses()) expect(flows.kept).toBe(true);
    const sofar = await answered();
    await until('they still talk', async () => (await answered()) > sofar + 5, 300);
    const [talker] = await admin.objects('pods', '--field-selector=metadata.name=talker');
    expect(talker.status.phase).toBe('Running');
  });
});
