import { env } from 'node:process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hasCommand, missingPackages } from '../../src/setup/debian.mjs';

describe('missing Debian packages', () => {
  let path: string | undefined;
  beforeEach(() => {
    path = env.PATH;
  });
  afterEach(() => {
    env.PATH = path;
  });

  it('are those of the purpose whose command is not in the path', () => {
    expect(missingPackages(['build'])).not.toContain('make');
    env.PATH = '/nonexistent';
    expect(missingPackages(['build'])).toEqual(expect.arrayContaining(['python3', 'make', 'g++']));
    expect(missingPackages(['lab'])).not.toContain('make');
  });

  it('takes only an executable file for a command', () => {
    expect(hasCommand('sh')).toBe(true);
    env.PATH = '/proc';
    expect(hasCommand('version')).toBe(false);
    expect(hasCommand('no-such-command')).toBe(false);
  });
});
