// Cluster state in etcd.
import { readFileSync } from 'node:fs';
import type { EtcdConfig } from '../../config/schema.ts';
import { WatchedStore } from '../watched-store.ts';
import { EtcdClient } from './client.ts';
import { etcdObjects } from './collection.ts';

/** @throws Error where a certificate, a key or the password cannot be read */
export function openEtcd({ endpoints, prefix, tls, user, passwordFile }: EtcdConfig): WatchedStore {
  const { ca, cert, key } = tls;
  const client = new EtcdClient({
    endpoints,
    tls: { ca: read(ca), cert: read(cert), key: read(key) },
    credentials:
      user === undefined ? undefined : { name: user, password: (read(passwordFile) ?? '').trimEnd() },
  });
  return new WatchedStore(`${endpoints.join(' ')} ${prefix}`, [etcdObjects(client, prefix)], () =>
    client.close(),
  );
}

const read = (file: string | undefined) => (file === undefined ? undefined : readFileSync(file, 'utf8'));
