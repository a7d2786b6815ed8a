/**
 * Collections of the API server: paged lists, and watches with bookmarks.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Kind } from '../../control/objects.ts';
import { isRecord } from '../../control/read-object.ts';
import { type Collection, type Event, Gone } from '../follower.ts';
import type { Item } from '../mirror.ts';
import { type ApiServer, isStatus } from './api.ts';

const PAGE = 500;
/** Seconds after which the server ends a watch: between this and twice as much, as client-go asks. */
const WATCH_SECONDS = 300;
/** How often it is looked whether a resource that the server does not serve has come. */
const ABSENT_MS = 30_000;
/** Stands for a revision of a resource that is not served. */
const ABSENT = 'absent';

interface Resource {
  readonly kind: Kind;
  readonly plural: string;
  /** Group and version, as `apiVersion` has them. */
  readonly apiVersion: string;
  /** Leaves out what is never needed. */
  readonly fieldSelector?: string;
}

const resources: readonly Resource[] = [
  { kind: 'Node', plural: 'nodes', apiVersion: 'v1' },
  { kind: 'Namespace', plural: 'namespaces', apiVersion: 'v1' },
  {
    kind: 'Pod',
    plural: 'pods',
    apiVersion: 'v1',
    // Finished pods have no address any more.
    fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed',
  },
  { kind: 'NetworkPolicy', plural: 'networkpolicies', apiVersion: 'networking.k8s.io/v1' },
  { kind: 'Service', plural: 'services', apiVersion: 'v1' },
  { kind: 'EndpointSlice', plural: 'endpointslices', apiVersion: 'discovery.k8s.io/v1' },
];

const CLUSTER_POLICY = {
  kind: 'ClusterNetworkPolicy',
  plural: 'clusternetworkpolicies',
  group: 'policy.networking.k8s.io',
  /** The best first. */
  versions: ['v1beta1', 'v1alpha2'],
} as const;

export const kubernetesObjects = (api: ApiServer): Collection[] => [
  ...resources.map((resource) => collectionOf(api, resource)),
  clusterPolicies(api),
];

function collectionOf(api: ApiServer, resource: Resource): Collection {
  return {
    name: resource.plural,
    list: (put, signal) => list(api, resource, put, signal),
    watch: (revision, signal) => watch(api, resource, revision, signal),
  };
}

/** A resource that few clusters have, and that can come and go. */
function clusterPolicies(api: ApiServer): Collection {
  const { kind, plural, group, versions } = CLUSTER_POLICY;
  let served: Resource | undefined;
  const find = async (signal: AbortSignal): Promise<Resource | undefined> => {
    const answer = (await unlessAbsent(api.ask({ method: 'GET', path: `/apis/${group}`, signal }))) as
      | { versions?: { version: string }[] }
      | undefined;
    const offered: string[] = [];
    for (const { version } of answer?.versions ?? []) {
      const path = `/apis/${group}/${version}`;
      const list = (await unlessAbsent(api.ask({ method: 'GET', path, signal }))) as
        | { resources?: { name: string }[] }
        | undefined;
      if (list?.resources?.some(({ name }) => name === plural)) offered.push(version);
    }
    const version = versions.find((one) => offered.includes(one));
    if (version) return { kind, plural, apiVersion: `${group}/${version}` };
    // What they forbid must not be overlooked.
    if (offered.length > 0)
      throw new Error(`served as ${offered.join(', ')}, not as ${versions.join(' or ')}`);
    return undefined;
  };
  return {
    name: plural,
    list: async (put, signal) => {
      served = await find(signal);
      return served ? list(api, served, put, signal) : ABSENT;
    },
    watch: async function* (revision, signal) {
      if (!served) {
        yield { type: 'progress', revision };
        await sleep(ABSENT_MS, undefined, { signal, ref: false });
        if (await find(signal)) throw new Gone(`${plural} are served now`);
        return;
      }
      try {
        yield* watch(api, served, revision, signal);
      } catch (error) {
        throw isStatus(error, 404) ? new Gone(`${plural} are served no longer`) : error;
      }
      // The server ends the watches of a resource that goes.
      if ((await find(signal))?.apiVersion !== served.apiVersion)
        throw new Gone(`${plural} are served otherwise`);
    },
  };
}

async function unlessAbsent(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer;
  } catch (error) {
    if (isStatus(error, 404)) return undefined;
    throw error;
  }
}

interface List {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly unknown[] | null;
}

async function list(
  api: ApiServer,
  resource: Resource,
  put: (item: Item) => void,
  signal: AbortSignal,
): Promise<string> {
  let page: string | undefined;
  for (;;) {
    const query = { limit: `${PAGE}`, ...(page && { continue: page }) };
    const { metadata, items } = (await api
      .ask({ method: 'GET', path: pathOf(resource, query), signal })
      .catch(rethrowGone)) as List;
    for (const object of items ?? []) put(itemOf(object, resource));
    if (!metadata.continue) return metadata.resourceVersion;
    page = metadata.continue;
  }
}

interface WatchLine {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: {
    readonly metadata: { readonly resourceVersion: string };
    readonly code?: number;
    readonly message?: string;
  };
}

async function* watch(
  api: ApiServer,
  resource: Resource,
  revision: string,
  signal: AbortSignal,
): AsyncGenerator<Event, void> {
  const query = {
    watch: 'true',
    allowWatchBookmarks: 'true',
    resourceVersion: revision,
    timeoutSeconds: `${Math.round(WATCH_SECONDS * (1 + Math.random()))}`,
  };
  try {
    const lines = await api.stream({ method: 'GET', path: pathOf(resource, query), signal });
    yield { type: 'progress', revision };
    for await (const line of lines) {
      const { type, object } = line as WatchLine;
      if (type === 'ERROR') {
        const message = `${object.code}: ${object.message}`;
        throw object.code === 410 ? new Gone(message) : new Error(message);
      }
      const next = object.metadata.resourceVersion;
      if (type === 'BOOKMARK') {
        yield { type: 'progress', revision: next };
        continue;
      }
      const item = itemOf(object, resource);
      if (type === 'DELETED') yield { type: 'remove', source: item.source, revision: next };
      else yield { type: 'put', item, revision: next };
    }
  } catch (error) {
    rethrowGone(error);
  }
}

function rethrowGone(error: unknown): never {
  throw isStatus(error, 410) ? new Gone((error as Error).message) : error;
}

function pathOf(
  { plural, apiVersion, fieldSelector }: Resource,
  query: Readonly<Record<string, string>>,
): string {
  const base = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return `${base}/${plural}?${new URLSearchParams({ ...query, ...(fieldSelector && { fieldSelector }) })}`;
}

/** Items of a list do not say what they are. */
function itemOf(object: unknown, { kind, plural, apiVersion }: Resource): Item {
  const raw = { ...(isRecord(object) ? object : {}), kind, apiVersion };
  const { name, namespace, resourceVersion } = ('metadata' in raw ? raw.metadata : {}) as Record<
    string,
    string
  >;
  const identity = { name: name ?? '', ...(namespace && { namespace }) };
  const source = [plural, namespace, name].filter(Boolean).join('/');
  return { source, version: resourceVersion ?? '', raw, identity };
}
