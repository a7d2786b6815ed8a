// The plugin where no daemon runs: what it says of itself, of the call, and of the missing daemon.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { afterAll, describe, expect, it } from 'vitest';
import { callPlugin, container, plugin } from '../support/cni.ts';
import { corpus, corpusFolder, describeWith } from '../support/requires.ts';
import { run } from '../support/run.ts';

const directory = mkdtempSync(`${tmpdir()}/overweft-cni-`);
afterAll(() => rmSync(directory, { recursive: true }));

const config = (cniVersion = '1.1.0', more: object = {}) => ({
  cniVersion,
  name: 'net',
  type: 'overweft-cni',
  socket: `${directory}/overweft.sock`,
  ...more,
});
const versions = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'];

describe('CNI plugin without a daemon', () => {
  it('links to nothing, so that it runs on any host', () => {
    const file = readFileSync(plugin);
    // Elf64_Phdr.p_type of every program header, elf(5).
    const headers = Array.from({ length: file.readUInt16LE(56) }, (_, i) =>
      file.readUInt32LE(Number(file.readBigUInt64LE(32)) + i * file.readUInt16LE(54)),
    );
    const PT_LOAD = 1;
    const PT_INTERP = 3;
    expect(headers).toContain(PT_LOAD);
    expect(headers).not.toContain(PT_INTERP);
  });

  it.each([...versions, '0.2.0', '9.8.7'])('CNI 9: VERSION echoes the version %s', async (cniVersion) => {
    const { status, json } = await callPlugin('VERSION', { cniVersion });
    expect({ status, json }).toEqual({ status: 0, json: { cniVersion, supportedVersions: versions } });
  });

  it('CNI 9: VERSION needs no input', async () => {
    const { json } = await callPlugin('VERSION', '');
    expect(json).toEqual({ cniVersion: '1.1.0', supportedVersions: versions });
  });

  it('CNI 1: fails with status 1 and a JSON object on stdout in the version of the call', async () => {
    const { status, stdout } = await callPlugin('ADD', config('0.4.0'), container('none'));
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toEqual({
      cniVersion: '0.4.0',
      code: 11,
      msg: 'no overweft daemon runs on this node',
      details: `${directory}/overweft.sock: No such file or directory`,
    });
  });

  it.each([
    ['', {}, 'CNI_COMMAND'],
    ['ADD', {}, 'CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME'],
    ['CHECK', { CNI_IFNAME: 'eth0' }, 'CNI_CONTAINERID, CNI_NETNS'],
    ['DEL', {}, 'CNI_CONTAINERID, CNI_IFNAME'],
    ['GC', {}, 'CNI_PATH'],
  ])('CNI 3: %s without its variables is code 4 and names all', async (command, environment, names) => {
    const { json } = await callPlugin(command, config(), environment);
    expect(json).toMatchObject({ code: 4, msg: `missing in the environment: ${names}` });
  });

  it.each([
    ['CNI_COMMAND', 'UPDATE', {}],
    ['CNI_CONTAINERID', 'ADD', { CNI_CONTAINERID: '/etc' }],
    ['CNI_CONTAINERID', 'ADD', { CNI_CONTAINERID: '-x' }],
    ['CNI_IFNAME', 'ADD', { CNI_IFNAME: 'sixteen-letters1' }],
    ['CNI_IFNAME', 'ADD', { CNI_IFNAME: '..' }],
    ['CNI_IFNAME', 'ADD', { CNI_IFNAME: 'a/b' }],
    ['CNI_IFNAME', 'DEL', { CNI_IFNAME: 'a:b' }],
    ['CNI_IFNAME', 'CHECK', { CNI_IFNAME: 'a b' }],
  ])('CNI 3: a wrong %s is code 4', async (name, command, environment) => {
    const { json } = await callPlugin(command, config(), { ...container('none'), ...environment });
    expect(json).toMatchObject({ code: 4, msg: expect.stringContaining(name) });
  });

  it.each([
    ['', 6],
    ['{"cniVersion": "1.1.0", "name": "net"', 6],
    ['["net"]', 6],
    ['{"cniVersion": "1.1.0", "name": "net"} {}', 6],
    ['{"cniVersion": "1.1.0", "name": 01}', 6],
    ['{"cniVersion": "1.1.0", "name": "\n"}', 6],
    [config('1.1.0', { name: '' }), 7],
    [config('1.1.0', { name: 'te%%st' }), 7],
    [config('1.1.0', { name: '../net' }), 7],
    [config('1.1.0', { ipam: { type: '../host-local' } }), 7],
    [config('adsfsadf'), 6],
    [{ name: 'net' }, 1],
    [config('0.2.0'), 1],
    [config('9.8.7'), 1],
  ])('CNI 2: the configuration %j is code %i', async (text, code) => {
    const { status, json } = await callPlugin('ADD', text, container('none'));
    expect({ status, code: json.code }).toEqual({ status: 1, code });
  });

  it.each([
    ['CHECK', '0.3.1', 1],
    ['CHECK', '0.4.0', 11],
    ['GC', '1.0.0', 1],
    ['GC', '1.1.0', 11],
    ['STATUS', '1.0.0', 1],
    ['STATUS', '1.1.0', 51],
  ])('CNI 3: %s in version %s is code %i', async (command, version, code) => {
    const { json } = await callPlugin(command, config(version), container('none'));
    expect(json).toMatchObject({ cniVersion: version, code });
  });

  it.each(['ADD', 'DEL'])('CNI 3: %s in the namespace of the plugin itself is code 8', async (command) => {
    const environment = { ...container('none'), CNI_NETNS: '/proc/self/ns/net' };
    const { json } = await callPlugin(command, config(), environment);
    expect(json).toMatchObject({ code: 8, msg: expect.stringContaining('/proc/self/ns/net') });
    const anyway = await callPlugin(command, config(), { ...environment, CNI_NETNS_OVERRIDE: '1' });
    expect(anyway.json?.code).not.toBe(8);
  });

  it('CNI 5: DEL succeeds, and leaves a note for the next daemon', async () => {
    for (let i = 0; i < 2; i++) {
      const { status, stdout } = await callPlugin('DEL', config(), container('gone'));
      expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
    }
    expect(readdirSync(`${directory}/cni-deleted`)).toContain('gone@eth0');
    const nowhere = { ...config(), socket: `${directory}/none/overweft.sock` };
    expect((await callPlugin('DEL', nowhere, container('gone'))).status).toBe(0);
    expect(existsSync(`${directory}/none`)).toBe(false);
  });

  it.each([
    ['404 Not Found\r\n\r\n{"error":"no such resource"}', 999, '{"error":"no such resource"}'],
    ['200 OK', 11, 'the answer is cut short'],
  ])('CNI 1: makes an error object of the answer %j', async (answer, code, details) => {
    const socket = `${directory}/foreign.sock`;
    const server = createServer((peer) => peer.once('data', () => peer.end(`HTTP/1.1 ${answer}`)));
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    try {
      const { status, json } = await callPlugin('ADD', { ...config(), socket }, container('none'));
      expect({ status, json }).toMatchObject({
        status: 1,
        json: { code, details: expect.stringContaining(details) },
      });
    } finally {
      server.close();
    }
  });

  it('answers fifty calls at once in a fraction of a second', async () => {
    const begin = performance.now();
    await Promise.all(Array.from({ length: 50 }, () => callPlugin('VERSION', { cniVersion: '1.1.0' })));
    expect(performance.now() - begin).toBeLessThan(2_000);
  });
});

describeWith([corpus], "CNI plugin and the specification's own examples", () => {
  interface Fixture {
    readonly kind: string;
    readonly json: Record<string, unknown>;
  }
  it('CNI 2: judges each network configuration by its version and name', async () => {
    const fixtures: Fixture[] = JSON.parse(
      readFileSync(`${corpusFolder}/cni/cni-json-fixtures.json`, 'utf8'),
    );
    const configs = fixtures.filter(({ kind }) => kind === 'netconf').map(({ json }) => json);
    expect(configs.length).toBeGreaterThan(20);
    for (const json of configs) {
      const { cniVersion = '0.1.0', name = '' } = json as { cniVersion?: string; name?: string };
      const input = JSON.stringify({ ...json, socket: `${directory}/overweft.sock` });
      const { stdout } = await run(plugin, [], { env: { CNI_COMMAND: 'ADD', ...container('none') }, input });
      const isNamed = /^[a-zA-Z0-9][\w.-]*$/.test(name);
      const code = !isNamed
        ? 7
        : versions.includes(cniVersion)
          ? 11
          : /^\d+\.\d+\.\d+/.test(cniVersion)
            ? 1
            : 6;
      expect(JSON.parse(stdout), input).toMatchObject({ code });
    }
  });
});
