/**
 * Objects in etcd: one key an object, its value the object as JSON.
 *
 *     /overweft/nodes/NAME                       Node
 *     /overweft/namespaces/NAME                  Namespace
 *     /overweft/pods/NAMESPACE/NAME              Pod
 *     /overweft/networkpolicies/NAMESPACE/NAME   NetworkPolicy
 *     /overweft/clusternetworkpolicies/NAME      ClusterNetworkPolicy
 *     /overweft/services/NAMESPACE/NAME          Service
 *     /overweft/endpointslices/NAMESPACE/NAME    EndpointSlice
 *     /overweft/leases/NAME                      a daemon that is alive; goes with its lease
 *
 * Anything else below the prefix is a fault: a mistyped key must not leave a policy out.
 */
import type { Kind } from '../../control/objects.ts';
import { isRecord } from '../../control/read-object.ts';
import { type Collection, type Event, Gone } from '../follower.ts';
import type { Item } from '../mirror.ts';
import { Compacted, type EtcdClient, type KeyValue } from './client.ts';

const PAGE = 500;

const places: Readonly<Record<string, { readonly kind: Kind; readonly isNamespaced: boolean }>> = {
  nodes: { kind: 'Node', isNamespaced: false },
  namespaces: { kind: 'Namespace', isNamespaced: false },
  pods: { kind: 'Pod', isNamespaced: true },
  networkpolicies: { kind: 'NetworkPolicy', isNamespaced: true },
  clusternetworkpolicies: { kind: 'ClusterNetworkPolicy', isNamespaced: false },
  services: { kind: 'Service', isNamespaced: true },
  endpointslices: { kind: 'EndpointSlice', isNamespaced: true },
};

export const leaseKey = (prefix: string, name: string) => `${prefix}/leases/${name}`;

export const nodeKey = (prefix: string, name: string) => `${prefix}/nodes/${name}`;

/**
 * All below a prefix such as `/overweft`, which are watched as one: what was written together comes together.
 * @param alive kept equal to the names that have a lease
 */
export function etcdObjects(client: EtcdClient, prefix: string, alive: Set<string>): Collection {
  const from = `${prefix}/`;
  // The first key behind all that begin with the prefix: 0 follows the slash.
  const end = `${prefix}0`;
  const leases = leaseKey(prefix, '');
  return {
    name: `etcd ${prefix}`,
    list: async (put, signal) => {
      let at: string | undefined;
      let next = from;
      const listed = new Set<string>();
      for (;;) {
        const { items, revision, hasMore } = await client
          .range(next, end, { limit: PAGE, at, signal })
          .catch(rethrowCompacted);
        at ??= revision;
        for (const item of items) {
          if (item.key.startsWith(leases)) listed.add(item.key.slice(leases.length));
          else put(itemOf(item, from));
        }
        const last = items.at(-1);
        if (hasMore && last) {
          next = `${last.key}\0`;
          continue;
        }
        alive.clear();
        for (const name of listed) alive.add(name);
        return at;
      }
    },
    watch: async function* (revision, signal): AsyncGenerator<Event, void> {
      const after = `${BigInt(revision) + 1n}`;
      for await (const answer of client.watch(from, end, after, signal)) {
        if (answer.type === 'compacted') throw new Gone(`revision ${revision} is compacted`);
        // A store that was set back would tell nothing until it has come as far again.
        if (BigInt(answer.revision) < BigInt(revision))
          throw new Gone(`revision ${revision} is still to come: the store was set back`);
        if (answer.type === 'created') {
          yield { type: 'progress', revision };
          continue;
        }
        for (const event of answer.events) {
          if (event.key.startsWith(leases)) {
            const name = event.key.slice(leases.length);
            if (event.type === 'put') alive.add(name);
            else alive.delete(name);
            continue;
          }
          if (event.type === 'delete') yield { type: 'remove', source: event.key, revision: event.revision };
          else yield { type: 'put', item: itemOf(event, from), revision: event.revision };
        }
        yield { type: 'progress', revision: answer.revision };
      }
    },
  };
}

function rethrowCompacted(error: unknown): never {
  throw error instanceof Compacted ? new Gone(error.message) : error;
}

/** What cannot be read keeps the kind and the name that its key says. */
function itemOf({ key, value, revision: version }: KeyValue, from: string): Item {
  const [plural = '', ...names] = key.slice(from.length).split('/');
  const place = Object.hasOwn(places, plural) ? places[plural] : undefined;
  const [first = '', second = ''] = names;
  const identity = place?.isNamespaced ? { namespace: first, name: second } : { name: first };
  const known = { source: key, version, identity };
  const bad = (path: string, message: string, kind = place?.kind ?? plural): Item => ({
    ...known,
    raw: { kind },
    fault: { path, message },
  });
  if (!place)
    return bad('', `${plural} is no kind of objects: must be one of ${Object.keys(places).join(', ')}`);
  if (names.length !== (place.isNamespaced ? 2 : 1) || names.includes(''))
    return bad('', `must be at ${from}${plural}/${place.isNamespaced ? 'NAMESPACE/' : ''}NAME`);
  const raw = parse(value);
  if (!isRecord(raw)) return bad('', 'must be an object as JSON');
  if (raw.kind !== place.kind) return bad('kind', `must be ${place.kind}, as its place says`);
  return { ...known, raw: { ...raw, kind: place.kind } };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
