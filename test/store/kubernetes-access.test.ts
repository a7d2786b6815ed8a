import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { stringify } from 'yaml';
import { accessOf } from '../../src/store/kubernetes/access.ts';

const directory = mkdtempSync(`${tmpdir()}/overweft-access-`);
afterAll(() => rmSync(directory, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

const base64 = (text: string) => Buffer.from(text).toString('base64');

function kubeconfig(user: object, cluster: object = {}, current = 'main'): string {
  const file = `${directory}/kubeconfig`;
  writeFileSync(
    file,
    stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': current,
      contexts: [{ name: 'main', context: { cluster: 'here', user: 'me' } }],
      clusters: [{ name: 'here', cluster: { server: 'https://192.0.2.10:6443', ...cluster } }],
      users: [{ name: 'me', user }],
    }),
  );
  return file;
}

describe('a kubeconfig', () => {
  it('has certificates in itself', () => {
    const access = accessOf(
      kubeconfig(
        { 'client-certificate-data': base64('CERT'), 'client-key-data': base64('KEY') },
        { 'certificate-authority-data': base64('CA'), 'tls-server-name': 'kubernetes' },
      ),
    );
    expect(access.server).toBe('https://192.0.2.10:6443');
    expect(access.tls()).toMatchObject({ ca: 'CA', cert: 'CERT', key: 'KEY', servername: 'kubernetes' });
    expect(access.token()).toBeUndefined();
  });

  it('names files beside itself, which may be replaced', () => {
    writeFileSync(`${directory}/token`, 'first\n');
    writeFileSync(`${directory}/ca.crt`, 'CA');
    const access = accessOf(kubeconfig({ tokenFile: 'token' }, { 'certificate-authority': 'ca.crt' }));
    expect(access.token()).toBe('first');
    expect(access.tls().ca).toBe('CA');
    writeFileSync(`${directory}/token`, 'second\n');
    expect(access.token()).toBe('second');
  });

  it.each([
    [
      'a plugin that somebody would have to log in to',
      { exec: { command: 'aws' } },
      {},
      'main',
      'users[0].user.exec: is not supported: use client-certificate and client-key, token or tokenFile in the kubeconfig of a daemon',
    ],
    ['no such context', {}, {}, 'other', 'contexts: has none of the name other'],
    [
      'no URL',
      {},
      { server: 'here' },
      'main',
      'clusters[0].cluster.server: must be a URL such as https://192.0.2.10:6443',
    ],
    ['no context at all', {}, {}, '', 'current-context: must name a context'],
  ])('is refused with %s', (_, user, cluster, current, message) => {
    const file = kubeconfig(user, cluster, current);
    expect(() => accessOf(file)).toThrow(`${file}: ${message}`);
  });
});

describe('a pod', () => {
  it('is told where the API server is', () => {
    vi.stubEnv('KUBERNETES_SERVICE_HOST', 'fd00:96::1');
    vi.stubEnv('KUBERNETES_SERVICE_PORT', '443');
    expect(accessOf(undefined).server).toBe('https://[fd00:96::1]:443');
  });

  it('is what a daemon without kubeconfig must be', () => {
    vi.stubEnv('KUBERNETES_SERVICE_HOST', '');
    expect(() => accessOf(undefined)).toThrow(
      'store.kubeconfig: is missing, and this is no pod of a cluster',
    );
  });
});
