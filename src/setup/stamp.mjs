// A stamp is the content hash of everything that a built file depends on; equal stamps mean nothing to build.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { root } from './runtime.mjs';

/**
 * @param {string[]} paths files and folders relative to the root; a missing one counts as empty
 * @param {RegExp} names which files count inside a folder
 * @param {string[]} extra further inputs, such as versions
 * @returns {string} hex SHA-256
 */
export function contentHash(paths, names = /./, extra = []) {
  const hash = createHash('sha256').update(JSON.stringify(extra));
  for (const path of paths.flatMap((path) => filesBelow(path, names))) {
    hash
      .update(`${path}\0`)
      .update(readFileSync(root + path))
      .update('\0');
  }
  return hash.digest('hex');
}

/**
 * @param {string} path relative to the root
 * @param {RegExp} names
 * @returns {string[]} sorted
 */
export function filesBelow(path, names) {
  if (!existsSync(root + path)) return [];
  if (statSync(root + path).isFile()) return [path];
  return readdirSync(root + path, { recursive: true, encoding: 'utf8' })
    .map((file) => `${path}/${file}`)
    .filter((file) => names.test(basename(file)) && !file.startsWith('native/build/'))
    .filter((file) => statSync(root + file).isFile())
    .sort();
}

/** A stamp kept in a file. */
export class Stamp {
  /**
   * @param {string} file absolute
   * @param {string} value
   */
  constructor(file, value) {
    this.file = file;
    this.value = value;
  }

  fresh() {
    return existsSync(this.file) && readFileSync(this.file, 'utf8') === this.value;
  }

  write() {
    mkdirSync(dirname(this.file), { recursive: true });
    writeFileSync(this.file, this.value);
  }
}
