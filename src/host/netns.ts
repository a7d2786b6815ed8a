// Network namespaces, by their files.
import { statSync } from 'node:fs';

/** File of a namespace that `ip netns` knows by name. */
export const netnsFile = (name: string): string => `/run/netns/${name}`;

/**
 * Command and arguments that run a command inside a network namespace, in the same process.
 * @param file of the namespace
 */
export const inside = (file: string, command: string, args: readonly string[]): [string, string[]] => [
  'nsenter',
  [`--net=${file}`, command, ...args],
];

/** Inode of the namespace that a file stands for; undefined when there is no such file. */
export const namespaceId = (file: string): number | undefined =>
  statSync(file, { throwIfNoEntry: false })?.ino;
