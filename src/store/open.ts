// The store that a configuration names.
import type { Config } from '../config/schema.ts';
import { EtcdStore } from './etcd/store.ts';
import { FileStore } from './file-store.ts';
import { KubernetesStore } from './kubernetes/store.ts';
import type { Store } from './store.ts';

/** @throws Error where a file that the configuration names cannot be used */
export function openStore({ store, node }: Config): Store {
  switch (store.type) {
    case 'file':
      return new FileStore(store.directory);
    case 'etcd':
      return new EtcdStore(store, node);
    case 'kubernetes':
      return new KubernetesStore(store);
  }
}
