/** What the kernel keeps for a process and its children: rules, sets and maps of nftables are counted there. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { pid } from 'node:process';

/** Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst: where the hierarchy lies, and the bytes in it. */
const hierarchies = [
  {
    folder: '/sys/fs/cgroup/memory',
    file: 'memory.kmem.usage_in_bytes',
    bytes: (text: string) => Number(text),
  },
  {
    folder: '/sys/fs/cgroup',
    file: 'memory.stat',
    bytes: (text: string) => Number(/^kernel (\d+)$/m.exec(text)?.[1]),
  },
] as const;

export class KernelMemory implements Disposable {
  readonly #folder: string;
  readonly #read: () => number;

  private constructor(folder: string, read: () => number) {
    this.#folder = folder;
    this.#read = read;
  }

  /** @returns undefined where this host does not count it */
  static make(name: string): KernelMemory | undefined {
    for (const { folder, file, bytes } of hierarchies) {
      const own = `${folder}/overweft-bench-${pid}-${name}`;
      try {
        mkdirSync(own);
      } catch {
        continue;
      }
      if (existsSync(`${own}/${file}`))
        return new KernelMemory(own, () => bytes(readFileSync(`${own}/${file}`, 'utf8')));
      rmdirSync(own);
    }
    return undefined;
  }

  /** Counts what a process, and those that it starts, allocate from now on. */
  join(process: number): void {
    writeFileSync(`${this.#folder}/cgroup.procs`, `${process}`);
  }

  get bytes(): number {
    return this.#read();
  }

  /** Once the processes have ended. */
  [Symbol.dispose](): void {
    try {
      rmdirSync(this.#folder);
    } catch {
      // The last of them is on its way out.
    }
  }
}
