import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigError, loadConfig, parseConfig } from '../../src/config/load.ts';

const least = `
node: node-1
store: {type: file, directory: /etc/overweft/manifests}
underlay: {addresses: [192.0.2.1]}
`;

const issuesOf = (text: string) => {
  try {
    parseConfig(text, 'config.yaml');
  } catch (error) {
    if (error instanceof ConfigError) return error.issues;
    throw error;
  }
  return [];
};

describe('configuration', () => {
  it('needs a node, a store and an underlay address, and has a default for everything else', () => {
    const config = parseConfig(least, 'config.yaml');
    expect(config).toMatchObject({
      node: 'node-1',
      runDirectory: '/run/overweft',
      encapsulation: 'geneve',
      vni: 1,
      ports: { vxlan: 4789, geneve: 6081 },
      geneve: { payload: 'ethernet', options: [] },
      underlay: {
        family: 'ipv4',
        outerChecksum: true,
        acceptZeroChecksumIPv6: false,
        entropyPorts: 32,
        ttl: 64,
      },
      offloads: { tso: 'auto', uso: 'auto', udpSegment: 'auto', udpGro: 'auto', coalesce: 'auto' },
      peers: [],
      workers: 1,
      services: { sourcePorts: { first: 61_000, last: 65_535 } },
      logLevel: 'info',
    });
    expect(config.podNetwork.clusterCIDRs.map(({ text }) => text)).toEqual([
      '10.244.0.0/16',
      'fd00:244::/32',
    ]);
  });

  it('lists every error by its path, with what would be right', () => {
    const text = `
node: Node_1
stroe: {type: file, directory: manifests}
store: {type: file, directory: manifests}
encapsulation: gre
underlay:
  addresses: [192.0.2.1, 192.0.2.300]
  dscp: 64
  entropyPorts: 33
tables: {flows: lots}
services: {sourcePorts: 30000-65535}
peers:
  - {name: a, addresses: [192.0.2.9], podCIDRs: [10.0.0.0/33], routerMAC: 0:1}
`;
    expect(issuesOf(text)).toEqual([
      { path: 'node', message: expect.stringContaining('must be a name of lower-case letters') },
      { path: 'store.directory', message: 'must be an absolute path' },
      { path: 'encapsulation', message: 'must be "geneve" or "vxlan" or "ipip"' },
      {
        path: 'underlay.addresses[1]',
        message: expect.stringMatching(/^must be an IPv4 or IPv6 address.*"192\.0\.2\.300"$/),
      },
      { path: 'underlay.dscp', message: 'must be an integer from 0 to 63' },
      { path: 'underlay.entropyPorts', message: 'must be a power of two' },
      {
        path: 'services.sourcePorts',
        message: expect.stringContaining('must be a range of at least 64 ports from 32768 to 65535'),
      },
      { path: 'peers[0].podCIDRs[0]', message: expect.stringContaining('must be a CIDR block such as') },
      { path: 'peers[0].routerMAC', message: expect.stringContaining('must be a MAC address such as') },
      { path: 'tables.flows', message: 'must be an integer from 1024 to 4194304' },
      { path: 'stroe', message: 'is not a known field' },
    ]);
  });

  it('tells once what breaks several bounds', () => {
    expect(issuesOf(`${least}workers: 99999999999999999999`)).toEqual([
      { path: 'workers', message: 'must be an integer from 1 to 8' },
    ]);
  });

  it('says what is missing', () => {
    expect(issuesOf('').map(({ path }) => path)).toEqual(['node', 'store']);
    expect(issuesOf(`${least}geneve: {options: [{class: 1}]}`)).toEqual([
      { path: 'geneve.options[0].type', message: 'must be an integer from 0 to 127' },
    ]);
  });

  it.each([
    ['liveness: {interval: 10, timeout: 5}', 'liveness.timeout'],
    ['ports: {vxlan: 6081}', 'ports.geneve'],
    ['peers: [{name: a, addresses: ["2001:db8::9"]}]', 'peers[0].addresses'],
    ['podNetwork: {podCIDRs: [172.16.0.0/24]}', 'podNetwork.podCIDRs[0]'],
  ])('refuses what contradicts itself: %s', (line, path) => {
    expect(issuesOf(`${least}${line}\n`).map((issue) => issue.path)).toEqual([path]);
  });

  it('takes what differs between nodes from the environment, and names the variable that is wrong', () => {
    const environment = { OVERWEFT_NODE: 'node-2', OVERWEFT_UNDERLAY_ADDRESSES: '192.0.2.2,2001:db8::2' };
    const read = (text: string, more: object = {}) =>
      parseConfig(text, 'config.yaml', { ...environment, ...more });
    for (const text of [least, 'store: {type: file, directory: /x}', `${least}dns: {}`]) {
      const { node, underlay } = read(text);
      expect([node, ...underlay.addresses.map((address) => address.text)]).toEqual([
        'node-2',
        '192.0.2.2',
        '2001:db8::2',
      ]);
    }
    const wrong = { OVERWEFT_NODE: 'Node', OVERWEFT_UNDERLAY_ADDRESSES: '192.0.2.2,x' };
    expect(() => read(least, wrong)).toThrow(
      /config\.yaml: node of OVERWEFT_NODE: must be a name[^\n]*\n.*underlay\.addresses\[1\] of OVERWEFT_UNDERLAY_ADDRESSES: must be/,
    );
    expect(() => read('- a list')).toThrow('config.yaml');
    expect(read(least, { OVERWEFT_NODE: '', OVERWEFT_UNDERLAY_ADDRESSES: '' }).node).toBe('node-1');
  });

  it('refuses paths at which no Unix socket can be, with their length', () => {
    const directory = `/run/${'d'.repeat(90)}`;
    expect(issuesOf(`${least}runDirectory: ${directory}x\n`)).toEqual([
      {
        path: 'runDirectory',
        message: `the API cannot listen at ${directory}x/overweft.sock: its path has 110 bytes, and that of a Unix socket at most 107`,
      },
    ]);
    expect(issuesOf(`${least}api: {socket: /run/${'ü'.repeat(52)}}\n`)).toMatchObject([
      { path: 'api.socket' },
    ]);
    expect(issuesOf(`${least}runDirectory: ${directory.slice(0, 93)}\n`)).toEqual([]);
    expect(issuesOf(`${least}runDirectory: ${directory}x\napi: {socket: /run/short}\n`)).toEqual([]);
  });

  it('has no resolver without a section dns, and a whole one with an empty one', () => {
    expect(parseConfig(least, 'config.yaml').dns).toBeUndefined();
    const { dns } = parseConfig(`${least}dns: {}`, 'config.yaml');
    expect(dns).toMatchObject({
      domain: 'cluster.local',
      port: 53,
      service: 'kube-system/kube-dns',
      pods: 'any',
      ttl: 5,
      cache: { entries: 10_000, longest: 3600, longestNegative: 300 },
    });
    expect(dns?.addresses.map(({ text }) => text)).toEqual(['169.254.20.10', 'fd00:169:254:20::10']);
  });

  it('reads servers with and without a port', () => {
    const { dns } = parseConfig(
      `${least}dns: {upstreams: [192.0.2.53, "192.0.2.53:5353", "2001:db8::53", "[2001:db8::53]:5353"]}`,
      'config.yaml',
    );
    expect(dns?.upstreams?.map(({ address, port }) => `${address.text} ${port}`)).toEqual([
      '192.0.2.53 53',
      '192.0.2.53 5353',
      '2001:db8::53 53',
      '2001:db8::53 5353',
    ]);
  });

  it.each([
    ['{upstreams: [example.com]}', 'dns.upstreams[0]'],
    ['{upstreams: ["192.0.2.53:0"]}', 'dns.upstreams[0]'],
    ['{upstreams: ["[192.0.2.53"]}', 'dns.upstreams[0]'],
    ['{addresses: [127.0.0.1]}', 'dns.addresses'],
    ['{addresses: ["fe80::1"]}', 'dns.addresses'],
    ['{addresses: [192.0.2.1]}', 'dns.addresses[0]'],
    ['{domain: Cluster.Local}', 'dns.domain'],
    ['{domain: cluster.local.}', 'dns.domain'],
    ['{service: kube-dns}', 'dns.service'],
    ['{pods: verified}', 'dns.pods'],
  ])('refuses dns: %s', (text, path) => {
    expect(issuesOf(`${least}dns: ${text}`)).toMatchObject([{ path }]);
  });

  it('refuses YAML that cannot be read, with line and column', () => {
    expect(issuesOf('node: [1\nstore: x').at(0)?.message).toMatch(/^line \d+, column \d+: /);
    expect(issuesOf(`${least}node: other`).at(0)?.message).toMatch(/^line 5, column 1: /);
  });

  it('refuses an alias without its anchor, with the file', () => {
    expect(() => parseConfig('node: *name', 'f.yaml')).toThrow(/^f\.yaml: Unresolved alias/);
  });

  it('names the file in every line of the message', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'overweft-config-')), 'node.yaml');
    expect(() => loadConfig(file)).toThrow(`${file}: cannot be read: ENOENT`);
    writeFileSync(file, 'node: a\nx: 1\n');
    expect(() => loadConfig(file)).toThrow(`${file}: x: is not a known field`);
  });
});
