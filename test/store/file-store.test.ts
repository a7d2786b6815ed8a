import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ObjectChanges } from '../../src/control/changes.ts';
import { FileStore } from '../../src/store/file-store.ts';
import { faultText } from '../../src/store/store.ts';

const podText = (name: string, extra = '') =>
  `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}}\n${extra}`;

describe('file store', () => {
  let directory: string;
  let store: FileStore;
  let changes: number;
  let last: ObjectChanges | undefined;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'overweft-store-'));
    changes = 0;
  });
  afterEach(async () => {
    await store.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const start = async () => {
    store = new FileStore(directory);
    await store.start((told) => {
      last = told;
      changes++;
    });
  };
  const write = (name: string, text: string) => {
    writeFileSync(join(directory, `.${name}.new`), text);
    renameSync(join(directory, `.${name}.new`), join(directory, name));
  };
  const names = () => store.state.objects?.pods.map(({ metadata }) => metadata.name).sort();
  const soon = (assertion: () => void) => vi.waitFor(assertion, { timeout: 20_000, interval: 10 });

  it('reads a directory before start returns, and tells once', async () => {
    write('a.yaml', podText('a'));
    write('b.json', '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "b"}}');
    write('notes.txt', 'not a manifest: {');
    await start();
    expect(names()).toEqual(['a', 'b']);
    expect(changes).toBe(1);
  });

  it('follows files that come, change and go', async () => {
    write('a.yaml', podText('a'));
    await start();
    write('b.yml', podText('b'));
    await soon(() => expect(names()).toEqual(['a', 'b']));
    write('a.yaml', podText('c'));
    await soon(() => expect(names()).toEqual(['b', 'c']));
    rmSync(join(directory, 'b.yml'));
    await soon(() => expect(names()).toEqual(['c']));
  });

  it('keeps the last good state of all files while one is bad, and says what is wrong', async () => {
    write('a.yaml', podText('a'));
    await start();
    write('b.yaml', podText('b', 'status: {podIPs: [{ip: nowhere}]}'));
    await soon(() => expect(store.state.faults).toHaveLength(1));
    expect(faultText(store.state.faults[0] as never)).toMatch(
      /^b\.yaml: Pod default\/b: status\.podIPs\[0\]\.ip: must be/,
    );
    write('c.yaml', podText('c'));
    await soon(() => expect(changes).toBe(3));
    expect(names()).toEqual(['a']);
    rmSync(join(directory, 'b.yaml'));
    await soon(() => expect(names()).toEqual(['a', 'c']));
    expect(store.state.faults).toEqual([]);
  });

  it('tells which objects have come, changed and gone, and keeps those of other files', async () => {
    write('a.yaml', podText('a'));
    write('b.yaml', `${podText('b')}---\n${podText('c')}`);
    await start();
    const before = store.state.objects?.pods;
    write('b.yaml', `${podText('b', 'spec: {nodeName: node-1}\n')}---\n${podText('d')}`);
    await soon(() => expect(names()).toEqual(['a', 'b', 'd']));
    expect([...(last?.pods ?? [])].map(([key, object]) => [key, object?.spec?.nodeName])).toEqual([
      ['default/b', 'node-1'],
      ['default/d', undefined],
      ['default/c', undefined],
    ]);
    expect(last?.pods.get('default/c')).toBeUndefined();
    expect(store.state.objects?.pods[0]).toBe(before?.[0]);
  });

  it('has no state before a first good one', async () => {
    write('a.yaml', 'kind: [');
    await start();
    expect(store.state.objects).toBeUndefined();
    expect(store.state.faults).toHaveLength(1);
    write('a.yaml', podText('a'));
    await soon(() => expect(names()).toEqual(['a']));
  });

  it('says when the directory is missing, and takes it up when it comes', async () => {
    rmSync(directory, { recursive: true });
    await start();
    expect(store.state.faults[0]?.message).toMatch(/^cannot be read: ENOENT/);
    mkdirSync(directory);
    write('a.yaml', podText('a'));
    await vi.waitFor(() => expect(names()).toEqual(['a']), { timeout: 20_000, interval: 50 });
  });

  it('names each file that cannot be read, and keeps the last good state: a policy may be in it', async () => {
    write('a.yaml', podText('a'));
    await start();
    mkdirSync(join(directory, 'b.yaml'));
    symlinkSync('nowhere', join(directory, 'c.yaml'));
    write('a.yaml', podText('d'));
    await soon(() =>
      expect(store.state.faults.map(faultText)).toEqual([
        'b.yaml: cannot be read: EISDIR: illegal operation on a directory, read',
        `c.yaml: cannot be read: ENOENT: no such file or directory, stat '${directory}/c.yaml'`,
      ]),
    );
    expect(names()).toEqual(['a']);
    rmSync(join(directory, 'b.yaml'), { recursive: true });
    rmSync(join(directory, 'c.yaml'));
    await soon(() => expect(names()).toEqual(['d']));
    expect(store.state.faults).toEqual([]);
  });

  it('follows links that are swapped, as mounted ConfigMaps do', async () => {
    mkdirSync(join(directory, 'one'));
    mkdirSync(join(directory, 'two'));
    writeFileSync(join(directory, 'one', 'a.yaml'), podText('a'));
    writeFileSync(join(directory, 'two', 'a.yaml'), podText('b'));
    symlinkSync('one', join(directory, '..data'));
    symlinkSync('..data/a.yaml', join(directory, 'a.yaml'));
    await start();
    expect(names()).toEqual(['a']);
    symlinkSync('two', join(directory, '..data_tmp'));
    renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
    await soon(() => expect(names()).toEqual(['b']));
  });
});
