// Store over a directory of manifests (*.yaml, *.yml, *.json), watched.
import { type FSWatcher, watch } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { changesBetween, noChanges, type ObjectChanges } from './changes.ts';
import { type Manifest, readManifests } from './manifests.ts';
import type { Objects } from './objects.ts';
import { faultText, type Store, type StoreState } from './store.ts';

/** Quiet time after a change before the directory is read: writers touch several files in a row. */
const SETTLE_MS = 50;
/** Longest time without a look: covers a directory that was replaced, and file systems without inotify. */
const RESCAN_MS = 5_000;

/**
 * The whole directory is one state: a bad manifest keeps the last good state of all of it, so that a mistake in one
 * file never applies half an intention.
 */
export class FileStore implements Store {
  readonly #directory: string;
  #state: StoreState = { objects: undefined, faults: [], ignored: {} };
  #watcher: FSWatcher | undefined;
  #settling: NodeJS.Timeout | undefined;
  #rescan: NodeJS.Timeout | undefined;
  #reading: Promise<void> = Promise.resolve();
  #signature = '';
  #changed: (changes: ObjectChanges) => void = () => {};
  #stopped = false;

  constructor(directory: string) {
    this.#directory = directory;
  }

  get state(): StoreState {
    return this.#state;
  }

  async start(changed: (changes: ObjectChanges) => void): Promise<void> {
    this.#changed = changed;
    this.#watch();
    this.#rescan = setInterval(() => {
      this.#watch();
      void this.#read();
    }, RESCAN_MS);
    this.#rescan.unref();
    await this.#read();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#rescan);
    clearTimeout(this.#settling);
    this.#watcher?.close();
    await this.#reading;
  }

  #watch(): void {
    // A watch follows the inode: a directory that was replaced under its name needs a new one.
    this.#watcher?.close();
    this.#watcher = undefined;
    try {
      this.#watcher = watch(this.#directory, { persistent: false }, () => this.#settle());
      this.#watcher.on('error', () => this.#settle());
    } catch {
      // The directory is missing: reading it says so.
    }
  }

  #settle(): void {
    if (this.#stopped) return;
    this.#settling ??= setTimeout(() => {
      this.#settling = undefined;
      void this.#read();
    }, SETTLE_MS);
  }

  /** Reads in turn: two readings never overlap. */
  #read(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#readOnce());
    return this.#reading;
  }

  async #readOnce(): Promise<void> {
    if (this.#stopped) return;
    let manifests: Manifest[];
    try {
      manifests = await readDirectory(this.#directory);
    } catch (error) {
      return this.#apply('unreadable', {
        ...this.#state,
        faults: [
          {
            source: this.#directory,
            object: '',
            field: '',
            message: `cannot be read: ${(error as Error).message}`,
          },
        ],
      });
    }
    const signature = JSON.stringify(manifests);
    if (signature === this.#signature) return;
    const { objects, faults, ignored } = readManifests(manifests);
    this.#apply(signature, { objects: faults.length === 0 ? objects : this.#state.objects, faults, ignored });
  }

  #apply(signature: string, state: StoreState): void {
    if (signature === this.#signature) return;
    this.#signature = signature;
    const before = this.#state.objects;
    this.#state = state;
    this.#changed(state.objects ? changesBetween(before, state.objects) : noChanges);
  }
}

/**
 * What a directory of manifests holds now.
 * @throws Error that lists what is wrong with it
 */
export async function readObjects(directory: string): Promise<Objects> {
  const store = new FileStore(directory);
  await store.start(() => {});
  await store.stop();
  const { objects, faults } = store.state;
  if (!objects || faults.length > 0) throw new Error(faults.map(faultText).join('\n'));
  return objects;
}

async function readDirectory(directory: string): Promise<Manifest[]> {
  const names = (await readdir(directory)).filter((name) => /^[^.].*\.(ya?ml|json)$/.test(name)).sort();
  const manifests = await Promise.all(
    names.map(async (file): Promise<Manifest[]> => {
      try {
        return [{ file, text: await readFile(join(directory, file), 'utf8') }];
      } catch (error) {
        // Deleted between listing and reading.
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw error;
      }
    }),
  );
  return manifests.flat();
}
