// Where cluster state comes from: one interface, several sources.
import type { ObjectChanges } from '../control/changes.ts';
import type { Objects } from '../control/objects.ts';

/** Something in the source that cannot be used; its message says what is in force instead. */
export interface StoreFault {
  /** File, or resource of an API. */
  readonly source: string;
  /** Kind, namespace and name, as far as they could be read. */
  readonly object: string;
  /** Path of the field, empty for the whole object. */
  readonly field: string;
  readonly message: string;
}

/** How far what is known can be relied on to be what the source holds. */
export interface SourceState {
  /** It is, but for what is on its way. */
  readonly isCurrent: boolean;
  /** Since when it is so, or not; milliseconds since the epoch. */
  readonly since: number;
  /** The last time that the source could not be read or followed; it may be long over. */
  readonly lastError: { readonly message: string; readonly at: number } | undefined;
}

export interface StoreState extends SourceState {
  /** Undefined until a first good state was seen. */
  readonly objects: Objects | undefined;
  readonly faults: readonly StoreFault[];
  /** Objects of kinds that are not understood, counted by kind. */
  readonly ignored: Readonly<Record<string, number>>;
  /** Known objects, counted by kind. */
  readonly counts: Readonly<Record<string, number>>;
}

/** What a daemon says of its node. */
export interface Statement {
  /** Of the Node object. */
  readonly name: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** The Node object where nobody else makes one, without the annotations. */
  readonly node: { readonly podCIDRs: readonly string[]; readonly addresses: readonly string[] };
}

export interface Store {
  /**
   * Writes what a daemon says of its node into the node's object; absent where nothing can be written.
   * @throws Error of the source
   */
  readonly publish?: (statement: Statement, signal: AbortSignal) => Promise<void>;
  /** Nodes of which a daemon holds a lease now; absent where the store has none. */
  readonly leases?: ReadonlySet<string>;
  /** What it reads from, for people: a directory, servers. */
  readonly source: string;
  /** What is known now. */
  readonly state: StoreState;
  /**
   * Begins to read the source, and then to watch it. One that cannot be reached is tried again.
   * @param changed called after each change of the state; of its objects these have changed, perhaps none
   */
  start(changed: (changes: ObjectChanges) => void): Promise<void>;
  stop(): Promise<void>;
}

export function faultText({ source, object, field, message }: StoreFault): string {
  return [source, object, field, message].filter((part) => part !== '').join(': ');
}
