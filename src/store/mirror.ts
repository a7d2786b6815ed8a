/**
 * What a store that is watched holds: validated objects, brought up to date one by one.
 *
 *     source ─ list, watch ─► Part ─┐
 *     source ─ list, watch ─► Part ─┼─► Mirror ─┬─► Objects          what is
 *                                   │           └─► ObjectChanges    what is no longer as it was
 *                                   └─► faults, counts
 *
 * One bad object does not hold up the others: its last good version stays, and where there is none, a policy is taken
 * for one that denies everything. Pure.
 */
import type { Issue } from '../config/issues.ts';
import { emptyMaps, type Maps, namespacedKey, type ObjectChanges } from '../control/changes.ts';
import { closedPolicy } from '../control/closed-policy.ts';
import { type Kind, type Objects, objectFields } from '../control/objects.ts';
import { type AnyObject, nameOf, type RawObject, readObject } from '../control/read-object.ts';
import type { StoreFault } from './store.ts';

/** An object as its source has it. */
export interface Item {
  /** What the source calls it, and what faults are told under. */
  readonly source: string;
  /** Another one after each change. */
  readonly version: string;
  /** Of an object that cannot be read, its kind alone. */
  readonly raw: RawObject;
  /** As the place at which the source has it says. */
  readonly identity: { readonly name: string; readonly namespace?: string };
  /** Why it cannot be read. */
  readonly fault?: Issue;
}

interface Known {
  readonly version: string;
  /** What counts: the object, or what stands for it. */
  readonly object: AnyObject | undefined;
  /** The last version that could be read. */
  readonly good: AnyObject | undefined;
  readonly faults: readonly StoreFault[];
}

const clusterWide = new Set<string>(['Node', 'Namespace', 'ClusterNetworkPolicy'] satisfies Kind[]);
const keyOf = (object: AnyObject) =>
  clusterWide.has(object.kind) ? object.metadata.name : namespacedKey(object);

export class Mirror {
  readonly #objects = emptyMaps<AnyObject>();
  #changed = emptyMaps<AnyObject | undefined>();
  /** The first time that all is listed is a change, even where there is nothing. */
  #isChanged = true;
  #isTold = false;
  readonly #faults = new Map<string, readonly StoreFault[]>();
  #snapshot: Snapshot | undefined;
  readonly #parts: Part[] = [];

  /** A collection of the source that is listed and watched by itself. */
  part(): Part {
    const part = new Part({
      set: (before, after) => this.#set(before, after),
      faults: (source, faults) => {
        // Whoever watches wants to know of a fault that has come or gone, too.
        if (faults.length > 0 || this.#faults.has(source)) this.#isChanged = true;
        if (faults.length > 0) this.#faults.set(source, faults);
        else this.#faults.delete(source);
      },
    });
    this.#parts.push(part);
    return part;
  }

  /** What `takeChanges` has told of; undefined until it has for the first time. */
  get objects(): Objects | undefined {
    return this.#isTold ? this.#snapshot : undefined;
  }

  get faults(): readonly StoreFault[] {
    return [...this.#faults.values()].flat();
  }

  /** Objects by kind. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(
      Object.entries(objectFields).map(([kind, field]) => [kind, this.#objects[field].size]),
    );
  }

  /** What has changed since it was last asked, perhaps faults alone; undefined: nothing, or not all is listed yet. */
  takeChanges(): ObjectChanges | undefined {
    if (!this.#isChanged || !this.#parts.every(({ isListed }) => isListed)) return undefined;
    const changes = this.#changed;
    for (const [field, changed] of Object.entries(changes)) {
      if (changed.size === 0) continue;
      const objects = this.#objects[field as keyof Objects];
      for (const [key, object] of changed) {
        if (object) objects.set(key, object);
        else objects.delete(key);
      }
    }
    this.#changed = emptyMaps();
    this.#isChanged = false;
    this.#isTold = true;
    this.#snapshot = new Snapshot(this.#objects, this.#snapshot, changes);
    return changes as unknown as ObjectChanges;
  }

  #set(before: AnyObject | undefined, after: AnyObject | undefined): void {
    this.#isChanged = true;
    if (before) this.#changed[objectFields[before.kind]].set(keyOf(before), undefined);
    if (after) this.#changed[objectFields[after.kind]].set(keyOf(after), after);
  }
}

/** Lists that are made when they are asked for, and stay while their objects do: most changes leave most of them alone. */
class Snapshot implements Objects {
  readonly #objects: Maps<AnyObject>;
  readonly #lists: Partial<Record<keyof Objects, readonly AnyObject[]>> = {};

  constructor(objects: Maps<AnyObject>, before: Snapshot | undefined, changes: Maps<AnyObject | undefined>) {
    this.#objects = objects;
    if (!before) return;
    for (const field of Object.values(objectFields)) {
      const list = before.#lists[field];
      if (list && changes[field].size === 0) this.#lists[field] = list;
    }
  }

  get nodes() {
    return this.#list('nodes');
  }
  get namespaces() {
    return this.#list('namespaces');
  }
  get pods() {
    return this.#list('pods');
  }
  get policies() {
    return this.#list('policies');
  }
  get clusterPolicies() {
    return this.#list('clusterPolicies');
  }
  get services() {
    return this.#list('services');
  }
  get slices() {
    return this.#list('slices');
  }

  #list<Field extends keyof Objects>(field: Field): Objects[Field] {
    this.#lists[field] ??= [...this.#objects[field].values()];
    // The kind of each object fixes the list that it is in, which TypeScript does not see.
    return this.#lists[field] as Objects[Field];
  }
}

interface Whole {
  readonly set: (before: AnyObject | undefined, after: AnyObject | undefined) => void;
  readonly faults: (source: string, faults: readonly StoreFault[]) => void;
}

export class Part {
  readonly #whole: Whole;
  readonly #known = new Map<string, Known>();
  #isListed = false;

  constructor(whole: Whole) {
    this.#whole = whole;
  }

  get isListed(): boolean {
    return this.#isListed;
  }

  put(item: Item): void {
    this.#apply(item.source, this.#read(item));
  }

  remove(source: string): void {
    this.#apply(source, undefined);
  }

  /** Everything that the source has, page by page; it counts from `end` on, all at once. */
  list(): { readonly put: (item: Item) => void; readonly end: () => void } {
    const listed = new Map<string, Known>();
    return {
      put: (item) => listed.set(item.source, this.#read(item)),
      end: () => {
        for (const source of [...this.#known.keys()]) if (!listed.has(source)) this.remove(source);
        for (const [source, known] of listed) this.#apply(source, known);
        this.#isListed = true;
      },
    };
  }

  /** The same as before where the source has the same. */
  #read(item: Item): Known {
    const before = this.#known.get(item.source);
    return before?.version === item.version ? before : readItem(item, before?.good);
  }

  #apply(source: string, known: Known | undefined): void {
    const before = this.#known.get(source);
    if (before === known) return;
    if (known) this.#known.set(source, known);
    else this.#known.delete(source);
    this.#whole.faults(source, known?.faults ?? []);
    if (before?.object !== known?.object) this.#whole.set(before?.object, known?.object);
  }
}

const none: readonly StoreFault[] = [];

/** @param lastGood what stays where the item is bad */
function readItem(item: Item, lastGood: AnyObject | undefined): Known {
  const { source, version, raw, identity } = item;
  const [good, issues] = readGood(item);
  if (good) return { version, object: good, good, faults: none };
  const object = lastGood ?? closedPolicy(raw, identity);
  const consequence = lastGood
    ? 'its last good version stays'
    : object
      ? 'all that it may be meant for is denied'
      : 'it is left out';
  const faults = issues.map(({ path, message }) => ({
    source,
    object: nameOf(raw),
    field: path,
    message: `${message}; ${consequence}`,
  }));
  return { version, object, good: lastGood, faults };
}

function readGood({ raw, identity, fault }: Item): [AnyObject | undefined, readonly Issue[]] {
  if (fault) return [undefined, [fault]];
  const reading = readObject(raw);
  if (reading.is === 'faulty') return [undefined, reading.issues];
  if (reading.is === 'ignored')
    return [undefined, [{ path: 'apiVersion', message: `is not one of ${raw.kind} that is supported` }]];
  const issues = misplaced(reading.object, identity);
  return issues.length > 0 ? [undefined, issues] : [reading.object, []];
}

/** An object under another one's name would be both, or neither. */
function misplaced(
  { metadata }: AnyObject,
  { name, namespace = metadata.namespace }: Item['identity'],
): Issue[] {
  const wrong = (field: 'name' | 'namespace', right: string) =>
    metadata[field] === right
      ? []
      : [{ path: `metadata.${field}`, message: `must be ${right}, as its place says` }];
  return [...wrong('name', name), ...wrong('namespace', namespace)];
}
