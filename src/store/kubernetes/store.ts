// Cluster state of the API server.
import type { KubernetesConfig } from '../../config/schema.ts';
import { WatchedStore } from '../watched-store.ts';
import { accessOf } from './access.ts';
import { ApiServer } from './api.ts';
import { kubernetesObjects } from './collections.ts';

/** @throws Error where the kubeconfig cannot be used, or is missing outside of a pod */
export function openKubernetes({ kubeconfig, server }: KubernetesConfig): WatchedStore {
  const api = new ApiServer(accessOf(kubeconfig), server);
  return new WatchedStore(api.server, kubernetesObjects(api), () => api.close());
}
