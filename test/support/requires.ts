import { accessSync, constants, existsSync } from 'node:fs';
import { env, geteuid } from 'node:process';
import { beforeAll, describe } from 'vitest';
import { hasCommand } from '../../src/setup/debian.mjs';

/** Something that a test needs of the machine. */
export interface Requirement {
  readonly name: string;
  readonly met: () => boolean;
}

export const root: Requirement = { name: 'root', met: () => geteuid?.() === 0 };

export const tun: Requirement = {
  name: '/dev/net/tun',
  met: () => {
    try {
      accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
      return true;
    } catch {
      return false;
    }
  },
};

/** An executable, found as a shell would. */
export const command = (name: string): Requirement => ({ name, met: () => hasCommand(name) });

/** What Go programs are built from: Go, and libseccomp for the one with C in it. */
export const go: Requirement = {
  name: 'go and libseccomp-dev',
  met: () => hasCommand('go') && existsSync('/usr/include/seccomp.h'),
};

/** A Python module of the system's own interpreter. */
export const scapy: Requirement = {
  name: 'python3-scapy',
  met: () => existsSync('/usr/lib/python3/dist-packages/scapy/__init__.py'),
};

/** Folder of third-party captures and vectors, without a trailing slash. */
export const corpusFolder: string = env.OVERWEFT_CORPUS ?? '';

export const corpus: Requirement = {
  name: 'OVERWEFT_CORPUS',
  met: () => corpusFolder !== '' && existsSync(corpusFolder),
};

/**
 * A `describe` whose tests are skipped where the machine lacks something, the reason in their name. With CI=true
 * they fail instead.
 *
 *     describeWith([root, tun], 'two nodes', () => { … })
 */
export function describeWith(requirements: readonly Requirement[], name: string, suite: () => void): void {
  const missing = requirements
    .filter((requirement) => !requirement.met())
    .map((requirement) => requirement.name);
  if (missing.length === 0) return void describe(name, suite);
  const reason = `needs ${missing.join(', ')}`;
  if (env.CI !== 'true') return void describe.skip(`${name} (${reason})`, suite);
  describe(name, () => {
    beforeAll(() => {
      throw new Error(reason);
    });
    suite();
  });
}
