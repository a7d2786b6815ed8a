// Cluster state in etcd.
import { readFileSync } from 'node:fs';
import type { EtcdConfig } from '../../config/schema.ts';
import type { ObjectChanges } from '../../control/changes.ts';
import { WatchedStore } from '../watched-store.ts';
import { EtcdClient } from './client.ts';
import { etcdObjects, leaseKey } from './collection.ts';
import { Lease } from './lease.ts';
import { publishNode } from './publish.ts';

export class EtcdStore extends WatchedStore {
  readonly leases: ReadonlySet<string>;
  readonly #lease: Lease;

  /**
   * @param node of this daemon
   * @throws Error where a certificate, a key or the password cannot be read
   */
  constructor({ endpoints, prefix, tls, user, passwordFile, lease }: EtcdConfig, node: string) {
    const { ca, cert, key } = tls;
    const client = new EtcdClient({
      endpoints,
      tls: { ca: read(ca), cert: read(cert), key: read(key) },
      credentials:
        user === undefined ? undefined : { name: user, password: (read(passwordFile) ?? '').trimEnd() },
    });
    const leases = new Set<string>();
    super({
      source: `${endpoints.join(' ')} ${prefix}`,
      collections: [etcdObjects(client, prefix, leases)],
      publish: (statement, signal) => publishNode(client, prefix, statement, signal),
      close: () => client.close(),
    });
    this.leases = leases;
    this.#lease = new Lease(client, leaseKey(prefix, node), lease);
  }

  override async start(changed: (changes: ObjectChanges) => void): Promise<void> {
    await super.start(changed);
    this.#lease.start();
  }

  override async stop(): Promise<void> {
    await this.#lease.stop();
    await super.stop();
  }
}

const read = (file: string | undefined) => (file === undefined ? undefined : readFileSync(file, 'utf8'));
