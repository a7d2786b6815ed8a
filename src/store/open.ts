// The store that a configuration names.
import type { StoreConfig } from '../config/schema.ts';
import { openEtcd } from './etcd/store.ts';
import { FileStore } from './file-store.ts';
import { openKubernetes } from './kubernetes/store.ts';
import type { Store } from './store.ts';

/** @throws Error where a file that the configuration names cannot be used */
export function openStore(config: StoreConfig): Store {
  switch (config.type) {
    case 'file':
      return new FileStore(config.directory);
    case 'etcd':
      return openEtcd(config);
    case 'kubernetes':
      return openKubernetes(config);
  }
}
