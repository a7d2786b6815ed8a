// What deploy/ holds fits together, and fits the program that it deploys.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments, parse as parseYaml } from 'yaml';
import { parseConfig } from '../../src/config/load.ts';
import { version } from '../../src/version.ts';
import { must, overweft } from '../support/run.ts';

// biome-ignore lint/suspicious/noExplicitAny: real API servers judge the types, see test/cluster/deploy.test.ts
type Json = any;

const path = (name: string) => fileURLToPath(new URL(`../../deploy/${name}`, import.meta.url));
const text = (name: string) => readFileSync(path(name), 'utf8');
const yaml = (name: string): Json => parseYaml(text(name));

const environment = { OVERWEFT_NODE: 'node-1', OVERWEFT_UNDERLAY_ADDRESSES: '192.0.2.1,2001:db8::1' };

describe('deploy/', () => {
  const kustomization = yaml('kustomization.yaml');
  const daemonSet = yaml('daemonset.yaml');
  const pod = daemonSet.spec.template.spec;
  const [daemon] = pod.containers;
  const [installer] = pod.initContainers;
  const config = parseConfig(text('config.yaml'), 'config.yaml', environment);

  it('names files that are there, and the version that they belong to', () => {
    const files = [...kustomization.resources, ...kustomization.configMapGenerator[0].files];
    for (const file of files) expect(existsSync(path(file)), file).toBe(true);
    expect(kustomization.images).toEqual([{ name: daemon.image, newTag: version() }]);
    expect(installer.image).toBe(daemon.image);
  });

  it('has a configuration that the daemon takes, of a node that the environment names', () => {
    expect(config).toMatchObject({ node: 'node-1', store: { type: 'kubernetes' } });
    expect(config.underlay.addresses.map((address) => address.text)).toEqual(['192.0.2.1', '2001:db8::1']);
    const variables = daemon.env.map((one: Json) => [one.name, one.valueFrom.fieldRef.fieldPath]);
    expect(Object.fromEntries(variables)).toEqual({
      OVERWEFT_NODE: 'spec.nodeName',
      OVERWEFT_UNDERLAY_ADDRESSES: 'status.hostIPs',
    });
  });

  it('runs as the account of rbac.yaml, in its namespace', () => {
    const objects: Json[] = parseAllDocuments(text('rbac.yaml')).map((document) => document.toJS());
    const account = objects.find(({ kind }) => kind === 'ServiceAccount');
    expect(account.metadata).toMatchObject({
      name: pod.serviceAccountName,
      namespace: daemonSet.metadata.namespace,
    });
    expect(kustomization.namespace).toBe(daemonSet.metadata.namespace);
  });

  it('selects its own pods', () => {
    expect(daemonSet.spec.template.metadata.labels).toMatchObject(daemonSet.spec.selector.matchLabels);
  });

  it('mounts what the configuration and the runtimes ask for, and nothing else', () => {
    const hostPaths = Object.fromEntries(
      pod.volumes.map((volume: Json) => [
        volume.name,
        volume.hostPath?.path ?? volume.configMap?.name ?? 'memory',
      ]),
    );
    const mounts = ({ volumeMounts }: Json): Record<string, string> =>
      Object.fromEntries(volumeMounts.map((mount: Json) => [mount.mountPath, hostPaths[mount.name]]));
    expect(mounts(daemon)).toEqual({
      '/etc/overweft': kustomization.configMapGenerator[0].name,
      '/dev/net/tun': '/dev/net/tun',
      [config.runDirectory]: config.runDirectory,
      '/run/netns': '/run/netns',
      [config.cni.confDirectory ?? '']: '/etc/cni/net.d',
      '/tmp': 'memory',
    });
    expect(mounts(installer)).toEqual({ '/opt/cni/bin': '/opt/cni/bin' });
    const used = [daemon, installer].flatMap(({ volumeMounts }) => volumeMounts.map((one: Json) => one.name));
    expect(used.sort()).toEqual(Object.keys(hostPaths).sort());
    const netns = daemon.volumeMounts.find((mount: Json) => mount.mountPath === '/run/netns');
    expect(netns.mountPropagation).toBe('HostToContainer');
  });

  it('asks for health where the daemon tells of it', () => {
    const ask = { host: config.health?.address.text, port: config.health?.port };
    for (const probe of ['startupProbe', 'livenessProbe'])
      expect(daemon[probe].httpGet, probe).toEqual({ ...ask, path: '/livez' });
    expect(daemon.readinessProbe.httpGet).toEqual({ ...ask, path: '/readyz' });
    expect(daemon.ports[0].containerPort).toBe(config.metrics?.port);
    expect(daemonSet.spec.template.metadata.annotations['prometheus.io/port']).toBe(
      `${config.metrics?.port}`,
    );
  });

  it('grants the capabilities that the daemon keeps, and no other', () => {
    expect(daemon.securityContext.capabilities).toEqual({
      drop: ['ALL'],
      add: ['NET_ADMIN', 'NET_RAW', 'SYS_ADMIN'],
    });
    expect(daemon.securityContext.privileged).toBeUndefined();
    expect(installer.securityContext.capabilities).toEqual({ drop: ['ALL'] });
  });

  it('gives commands that the program takes', async () => {
    for (const { args } of [daemon, installer]) {
      const words = args.map((arg: string) => arg.split('=')[0]);
      const options = words.filter((word: string) => word.startsWith('--'));
      const names = words.filter((word: string) => /^[a-z]+$/.test(word));
      const help = (await overweft([...names, '--help'])).stdout;
      for (const option of options) expect(help).toContain(option);
    }
  });

  describe('overweft.service', () => {
    const unit = new Map(
      text('overweft.service')
        .split('\n')
        .filter((line) => /^\w+=/.test(line))
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );

    it('starts a program that is there', async () => {
      const [program = '', ...args] = unit.get('ExecStart')?.split(' ') ?? [];
      expect(program).toBe('/opt/overweft/deploy/overweft');
      expect(args).toEqual(['run', '--config', '/etc/overweft/config.yaml']);
      expect(await must(path('overweft'), ['--version'])).toBe(`${version()}\n`);
    });

    it('keeps what a daemon leaves for the next one, and lets it write what it must', () => {
      expect(`/run/${unit.get('RuntimeDirectory')}`).toBe(config.runDirectory);
      expect(unit.get('RuntimeDirectoryPreserve')).toBe('yes');
      expect(unit.get('Type')).toBe('notify');
      expect(Number(unit.get('WatchdogSec'))).toBeGreaterThan(10);
      // Sysctls of its own devices.
      expect(unit.has('ProtectKernelTunables')).toBe(false);
      // V8 compiles at run time.
      expect(unit.has('MemoryDenyWriteExecute')).toBe(false);
    });
  });

  it('builds an image of files that are there', () => {
    const lines = text('Containerfile').split('\n');
    const copied = lines
      .filter((line) => line.startsWith('COPY --from=build'))
      .flatMap((line) => line.split(/\s+/).slice(2, -1))
      .map((file) => file.replace('/opt/overweft', '../'));
    expect(copied.length).toBeGreaterThan(5);
    for (const file of copied) expect(existsSync(path(file)), file).toBe(true);
  });
});
