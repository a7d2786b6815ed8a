// What a daemon says of its node, in etcd: the Node object is read, changed and written unless somebody else was faster.
import { isRecord } from '../../control/read-object.ts';
import type { Statement } from '../store.ts';
import type { EtcdClient } from './client.ts';
import { nodeKey } from './collection.ts';

/** @throws Error of etcd, where somebody else keeps changing the object, or where it is none */
export async function publishNode(
  client: EtcdClient,
  prefix: string,
  statement: Statement,
  signal: AbortSignal,
): Promise<void> {
  const key = nodeKey(prefix, statement.name);
  const found = await client.get(key, signal);
  const object = found ? merged(found.value, statement, key) : made(statement);
  const isWritten = await client.putIf(key, JSON.stringify(object), found?.revision ?? '0', signal);
  if (!isWritten) throw new Error(`${key}: somebody else has changed it meanwhile`);
}

/** Where nobody describes nodes, each describes itself. */
const made = ({ name, annotations, node }: Statement): object => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, annotations },
  spec: { podCIDRs: node.podCIDRs },
  status: { addresses: node.addresses.map((address) => ({ type: 'InternalIP', address })) },
});

function merged(text: string, { annotations }: Statement, key: string): object {
  const object: unknown = JSON.parse(text);
  if (!isRecord(object)) throw new Error(`${key}: is no object`);
  const metadata = isRecord(object.metadata) ? object.metadata : {};
  const before = isRecord(metadata.annotations) ? metadata.annotations : {};
  return { ...object, metadata: { ...metadata, annotations: { ...before, ...annotations } } };
}
