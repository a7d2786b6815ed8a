// The plugin and its configuration where runtimes look for them.
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { installConfiguration, uninstall } from '../../src/cni/install.ts';
import { must, overweft } from '../support/run.ts';

describe('installation of the CNI plugin', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(`${tmpdir()}/overweft-cni-`);
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('renames a whole configuration into the directory, which stays the same', async () => {
    const inode = statSync(directory).ino;
    const events: string[] = [];
    using _ = { [Symbol.dispose]: () => watcher.close() };
    const watcher = watch(directory, (event, name) => events.push(`${event} ${name}`));
    expect(installConfiguration(directory, '/run/overweft/overweft.sock')).toBe(true);
    await expect.poll(() => events).toContain('rename 10-overweft.conflist');
    // What is not a rename of it must not carry a name that a runtime reads.
    expect(events.filter((event) => event.startsWith('change'))).not.toContain('change 10-overweft.conflist');
    expect(readdirSync(directory)).toEqual(['10-overweft.conflist']);
    expect(statSync(directory).ino).toBe(inode);
    expect(JSON.parse(readFileSync(`${directory}/10-overweft.conflist`, 'utf8'))).toMatchObject({
      cniVersion: '1.1.0',
      name: 'overweft',
      plugins: [{ type: 'overweft-cni', socket: '/run/overweft/overweft.sock' }],
    });
    expect(statSync(`${directory}/10-overweft.conflist`).mode & 0o777).toBe(0o644);
  });

  it('leaves a configuration alone that is right, and replaces another', () => {
    const path = `${directory}/10-overweft.conflist`;
    installConfiguration(directory, '/a');
    const { ino } = statSync(path);
    expect(installConfiguration(directory, '/a')).toBe(false);
    expect(statSync(path).ino).toBe(ino);
    expect(installConfiguration(directory, '/b')).toBe(true);
    expect(readFileSync(path, 'utf8')).toContain('"/b"');
  });

  it('installs an executable plugin over one that runs, and takes both away again', async () => {
    const bin = `${directory}/bin`;
    mkdirSync(bin);
    writeFileSync(`${bin}/loopback`, '');
    for (let time = 0; time < 2; time++) {
      const { stdout } = await overweft(['cni', 'install', '--bin-directory', bin]);
      expect(stdout).toBe(`${bin}/overweft-cni\n`);
    }
    const answer = await must(`${bin}/overweft-cni`, [], {
      env: { CNI_COMMAND: 'VERSION' },
      input: '{"cniVersion":"1.1.0"}',
    });
    expect(JSON.parse(answer).supportedVersions).toContain('1.1.0');
    installConfiguration(directory, '/a');
    const gone = await overweft(['cni', 'uninstall', '--bin-directory', bin, '--conf-directory', directory]);
    expect(gone.stdout).toBe(`${directory}/10-overweft.conflist\n${bin}/overweft-cni\n`);
    expect(readdirSync(bin)).toEqual(['loopback']);
    expect(uninstall({ configuration: directory, plugin: bin })).toEqual([]);
  });

  it('prints the configuration that it would write', async () => {
    installConfiguration(directory, '/x');
    const { stdout } = await overweft(['cni', 'config', '--socket', '/x']);
    expect(stdout).toBe(readFileSync(`${directory}/10-overweft.conflist`, 'utf8'));
  });
});
