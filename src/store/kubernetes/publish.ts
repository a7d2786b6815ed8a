/**
 * What a daemon says of its node, at the API server: server-side apply of annotations, of which it owns these and no others.
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/
 */
import type { Statement } from '../store.ts';
import type { ApiServer } from './api.ts';

const MANAGER = 'overweft';

/** @throws HttpFault; Error of the network */
export async function publishNode(
  api: ApiServer,
  { name, annotations }: Statement,
  signal: AbortSignal,
): Promise<void> {
  await api.ask({
    method: 'PATCH',
    // An annotation that somebody else has set as well is this daemon's to say.
    path: `/api/v1/nodes/${name}?fieldManager=${MANAGER}&force=true`,
    headers: { 'content-type': 'application/apply-patch+yaml' },
    body: { apiVersion: 'v1', kind: 'Node', metadata: { name, annotations } },
    signal,
  });
}
