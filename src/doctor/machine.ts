// The machine itself: clock, control groups, limits, and where the run directory lies.
import { existsSync, readFileSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Finding, finding, ok, type Subject } from './finding.ts';

export const machine = (subject: Subject): Finding[] => [
  clock(),
  controlGroups(),
  ...memory(),
  ...descriptors(),
  runDirectory(subject),
];

function clock(): Finding {
  const built = statSync(fileURLToPath(import.meta.resolve('#build/overweft.wasm'))).mtime;
  if (built.getTime() <= Date.now()) return ok('clock', new Date().toISOString());
  const message = `${new Date().toISOString()} is before Overweft was built (${built.toISOString()})`;
  return finding(
    'warning',
    'clock',
    message,
    'set it (chronyd or systemd-timesyncd): certificates are judged by it',
  );
}

function controlGroups(): Finding {
  if (existsSync('/sys/fs/cgroup/cgroup.controllers')) return ok('cgroup', 'version 2');
  return finding(
    'note',
    'cgroup',
    'version 1: kubelet ≥ 1.35 refuses it',
    'boot with systemd.unified_cgroup_hierarchy=1, or set failCgroupV1: false in its configuration',
  );
}

/** The daemon takes about 100 MB before any table. */
const LEAST_MEMORY = 256 << 20;

function memory(): Finding[] {
  const limit = Number(contentOf('/sys/fs/cgroup/memory.max'));
  if (!(limit < LEAST_MEMORY)) return [];
  const message = `this control group has ${limit >> 20} MiB; the daemon needs ${LEAST_MEMORY >> 20} MiB and more in large clusters`;
  return [finding('warning', 'memory', message, 'raise the limit (resources.limits.memory, MemoryMax=)')];
}

/** A pod takes two descriptors a worker, a node has at most 1022 of them. */
const LEAST_DESCRIPTORS = 4096;

function descriptors(): Finding[] {
  const [, soft = ''] = /^Max open files\s+(\d+)/m.exec(contentOf('/proc/self/limits') ?? '') ?? [];
  if (soft === '' || Number(soft) >= LEAST_DESCRIPTORS) return [];
  const message = `${soft} open files are allowed: enough for some ${Math.max(0, Number(soft) - 200) >> 1} pods`;
  return [finding('note', 'open files', message, 'LimitNOFILE=65536 in the unit, or ulimit -n')];
}

/** Of linux/magic.h. */
const TMPFS = 0x01021994;
const RAMFS = 0x858458f6;

function runDirectory({ config }: Subject): Finding {
  const path = config.runDirectory;
  const there = [path, dirname(path), '/'].find((one) => existsSync(one)) ?? '/';
  const { type } = statfsSync(there);
  if (type === TMPFS || type === RAMFS) return ok('run directory', `${path} is in memory`);
  const advice = 'mount a tmpfs there: connections then outlive the daemon, and not the machine';
  return finding(
    'warning',
    'run directory',
    `${path} is on a disk, which would be written to all the time`,
    advice,
  );
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
