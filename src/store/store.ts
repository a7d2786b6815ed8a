// Where cluster state comes from: one interface, several sources.
import type { ObjectChanges } from '../control/changes.ts';
import type { Objects } from '../control/objects.ts';

/** Something in the source that cannot be used; the last good state stays. */
export interface StoreFault {
  /** File, or resource of an API. */
  readonly source: string;
  /** Kind, namespace and name, as far as they could be read. */
  readonly object: string;
  /** Path of the field, empty for the whole object. */
  readonly field: string;
  readonly message: string;
}

export interface StoreState {
  /** Undefined until a first good state was seen. */
  readonly objects: Objects | undefined;
  readonly faults: readonly StoreFault[];
  /** Objects of kinds that are not understood, counted by kind. */
  readonly ignored: Readonly<Record<string, number>>;
}

export interface Store {
  /** What is known now. */
  readonly state: StoreState;
  /**
   * Reads the source for the first time, then watches it.
   * @param changed called after each change of the state; of its objects these have changed, perhaps none
   */
  start(changed: (changes: ObjectChanges) => void): Promise<void>;
  stop(): Promise<void>;
}

export function faultText({ source, object, field, message }: StoreFault): string {
  return [source, object, field, message].filter((part) => part !== '').join(': ');
}
