// Two builds in one checkout would write the same files: the second waits for the first.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { pid, stderr } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from './runtime.mjs';

const buildLock = `${root}build/lock`;
const pollMs = 200;

/**
 * Runs work while this process holds the build lock; a dead holder's lock is taken over.
 * @template T
 * @param {() => Promise<T>} work
 * @param {string} lockFile
 * @returns {Promise<T>}
 */
export async function locked(work, lockFile = buildLock) {
  mkdirSync(dirname(lockFile), { recursive: true });
  for (let told = false; !take(lockFile); told = true) {
    if (!told) stderr.write('waiting for another build in this checkout\n');
    await sleep(pollMs);
  }
  try {
    return await work();
  } finally {
    rmSync(lockFile, { force: true });
  }
}

/** @param {string} lockFile */
function take(lockFile) {
  try {
    writeFileSync(lockFile, `${pid}`, { flag: 'wx' });
    return true;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  if (!holderAlive(lockFile)) rmSync(lockFile, { force: true });
  return false;
}

/** @param {string} lockFile */
function holderAlive(lockFile) {
  try {
    const holder = Number(readFileSync(lockFile, 'utf8'));
    if (holder > 0) process.kill(holder, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
