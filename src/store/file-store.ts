// Store over a directory of manifests (*.yaml, *.yml, *.json), watched.
import { hash } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { lstat, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { changesBetween, noChanges, type ObjectChanges } from '../control/changes.ts';
import { type FileReading, joinReadings, readManifest } from '../control/manifests.ts';
import { countsOf, type Objects } from '../control/objects.ts';
import { faultText, type Store, type StoreState } from './store.ts';

/** Quiet time after a change before the directory is read: writers touch several files in a row. */
const SETTLE_MS = 50;
/** Longest time without a look: covers a directory that was replaced, and file systems without inotify. */
const RESCAN_MS = 5_000;

/** File systems count time in steps, of which the longest is FAT's two seconds. */
const CLOCK_MS = 2_000n;

/** A file as it was last read. */
interface KnownFile {
  readonly stamp: string | undefined;
  /** Of its text; of one that cannot be read, why. */
  readonly digest: string;
  /** The same object for as long as the file holds the same. */
  readonly reading: FileReading;
}

type Files = ReadonlyMap<string, KnownFile>;

/**
 * The whole directory is one state: a bad manifest keeps the last good state of all of it, so that a mistake in one
 * file never applies half an intention. Only files that have changed are read again, and objects of others stay the same
 * ones.
 */
export class FileStore implements Store {
  readonly #directory: string;
  #state: StoreState = {
    objects: undefined,
    faults: [],
    ignored: {},
    counts: {},
    isCurrent: false,
    since: Date.now(),
    lastError: undefined,
  };
  #watcher: FSWatcher | undefined;
  #settling: NodeJS.Timeout | undefined;
  #rescan: NodeJS.Timeout | undefined;
  #reading: Promise<void> = Promise.resolve();
  #files: Files = new Map();
  /** `#files` is what the directory held when it was last read. */
  #isRead = false;
  #changed: (changes: ObjectChanges) => void = () => {};
  #stopped = false;

  constructor(directory: string) {
    this.#directory = directory;
  }

  get source(): string {
    return this.#directory;
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
    try {
      const files = await readDirectory(this.#directory, this.#files);
      if (this.#isRead && isSame(files, this.#files)) return;
      this.#files = files;
      this.#isRead = true;
    } catch (error) {
      this.#unreadable((error as Error).message);
      return;
    }
    const { objects, faults, ignored } = joinReadings(
      [...this.#files].map(([file, { reading }]) => [file, reading]),
    );
    const isGood = faults.length === 0;
    const last = isGood ? objects : this.#state.objects;
    this.#apply({ objects: last, faults, ignored }, isGood);
  }

  #unreadable(reason: string): void {
    this.#isRead = false;
    const fault = { source: this.#directory, object: '', field: '', message: `cannot be read: ${reason}` };
    if (isDeepStrictEqual(this.#state.faults, [fault])) return;
    const { objects, ignored } = this.#state;
    const lastError = { message: `${this.#directory} ${fault.message}`, at: Date.now() };
    this.#apply({ objects, ignored, faults: [fault] }, false, lastError);
  }

  #apply(
    read: Pick<StoreState, 'objects' | 'faults' | 'ignored'>,
    isCurrent: boolean,
    lastError = this.#state.lastError,
  ): void {
    const before = this.#state;
    const since = isCurrent === before.isCurrent ? before.since : Date.now();
    this.#state = { ...read, counts: countsOf(read.objects), isCurrent, since, lastError };
    this.#changed(read.objects ? changesBetween(before.objects, read.objects) : noChanges);
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

/** Reads what has changed since; a file that is gone between listing and reading is none. */
async function readDirectory(directory: string, before: Files): Promise<Files> {
  const names = (await readdir(directory)).filter((name) => /^[^.].*\.(ya?ml|json)$/.test(name)).sort();
  const files = await Promise.all(
    names.map(async (name): Promise<[string, KnownFile][]> => {
      try {
        return [[name, await readOne(directory, name, before.get(name))]];
      } catch (error) {
        if (await isGone(join(directory, name))) return [];
        return [[name, unreadable(name, (error as Error).message, before.get(name))]];
      }
    }),
  );
  return new Map(files.flat());
}

/** A link that leads nowhere is there: what it led to may have been a policy. */
const isGone = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => false,
    ({ code }: NodeJS.ErrnoException) => code === 'ENOENT',
  );

function unreadable(file: string, reason: string, before: KnownFile | undefined): KnownFile {
  if (before?.digest === reason) return before;
  const fault = { source: file, object: '', field: '', message: `cannot be read: ${reason}` };
  return { stamp: undefined, digest: reason, reading: { objects: [], faults: [fault], ignored: {} } };
}

async function readOne(directory: string, file: string, before: KnownFile | undefined): Promise<KnownFile> {
  const path = join(directory, file);
  const stamp = await stampOf(path);
  if (before && stamp !== undefined && stamp === before.stamp) return before;
  const text = await readFile(path, 'utf8');
  const digest = hash('sha1', text);
  return {
    stamp,
    digest,
    reading: before?.digest === digest ? before.reading : readManifest({ file, text }),
  };
}

/** Another one after each change; undefined: so young that another change may not show in it. */
async function stampOf(path: string): Promise<string | undefined> {
  const { dev, ino, size, ctimeMs, ctimeNs } = await stat(path, { bigint: true });
  return BigInt(Date.now()) - ctimeMs < CLOCK_MS ? undefined : `${dev} ${ino} ${size} ${ctimeNs}`;
}

const isSame = (a: Files, b: Files): boolean =>
  a.size === b.size && [...a].every(([name, { reading }]) => b.get(name)?.reading === reading);
