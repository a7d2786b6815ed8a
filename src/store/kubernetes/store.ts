// Cluster state of the API server.
import type { KubernetesConfig } from '../../config/schema.ts';
import { WatchedStore } from '../watched-store.ts';
import { accessOf } from './access.ts';
import { ApiServer } from './api.ts';
import { kubernetesObjects } from './collections.ts';
import { publishNode } from './publish.ts';

export class KubernetesStore extends WatchedStore {
  /** @throws Error where the kubeconfig cannot be used, or is missing outside of a pod */
  constructor({ kubeconfig, server }: KubernetesConfig) {
    const api = new ApiServer(accessOf(kubeconfig), server);
    super({
      source: api.server,
      collections: kubernetesObjects(api),
      publish: async (statement, signal) => {
        // An object that is applied where there is none is made, and Nodes are kubelet's to make.
        if (!this.state.objects?.nodes.some(({ metadata }) => metadata.name === statement.name))
          throw new Error(`there is no Node ${statement.name}`);
        await publishNode(api, statement, signal);
      },
      close: () => api.close(),
    });
  }
}
