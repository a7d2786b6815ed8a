// Live capture at real interfaces, by the command line.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ReplayedPacket } from '../../src/replay/replay.ts';
import { readAll } from '../capture-file/bytes.ts';
import { answersPing } from '../support/answers-ping.ts';
import { type Netns, netns } from '../support/netns.ts';
import { program } from '../support/overweft-node.ts';
import { describeWith, root } from '../support/requires.ts';
import { overweft, run } from '../support/run.ts';

const name = 'owc-capture';

describeWith([root], 'overweft capture', () => {
  let folder: string;
  let namespace: Netns;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'overweft-capture-'));
    namespace = await netns(name);
  });
  afterAll(async () => {
    await namespace?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  /**
   * Captures while pings pass.
   * @param written packets that are in the file by now: interrupts it when that are so many; otherwise it ends by itself
   */
  async function captured(args: readonly string[], written?: { count: () => number; wanted: number }) {
    const [command = '', ...before] = program;
    const child = spawn('ip', ['netns', 'exec', name, command, ...before, 'capture', ...args]);
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk;
    });
    const begun = new Promise<void>((resolve) => {
      child.stderr.on('data', (chunk: Buffer) => {
        stderr += chunk;
        if (stderr.includes('capturing at')) resolve();
      });
      child.on('close', () => resolve());
    });
    const closed = once(child, 'close');
    await begun;
    try {
      expect(await answersPing(name, '127.0.0.1')).toBe(true);
      expect(await answersPing(name, '::1')).toBe(true);
      if (written) await expect.poll(written.count).toBe(written.wanted);
      else await expect.poll(() => child.exitCode, { message: stderr }).not.toBeNull();
    } finally {
      child.kill('SIGINT');
    }
    const [status] = (await closed) as [number | null];
    return { status, stdout, stderr };
  }

  it('goes on when captures are forgotten that were closed, and such as never began', async () => {
    const forgetting = `
      import { createServer } from 'node:net';
      import { LiveCapture } from '${new URL('../../src/phy/capture.ts', import.meta.url)}';
      for (let i = 0; i < 20; i++) {
        try { new LiveCapture({ interface: 'nobody' + i }); } catch {}
        new LiveCapture({ interface: 'lo' })[Symbol.dispose]();
      }
      for (let i = 0; i < 20; i++) {
        gc();
        const server = createServer().listen(0);
        await new Promise((resolve) => server.close(resolve));
      }
      console.log('alive');`;
    const finished = await run(
      process.execPath,
      ['--expose-gc', '--input-type=module', '--eval', forgetting],
      { netns: name },
    );
    expect(finished).toMatchObject({ status: 0, stdout: 'alive\n' });
  });

  it('decodes what passes, until so many packets', async () => {
    const { status, stdout } = await captured(['lo', '--json', '--count', '4']);
    expect(status).toBe(0);
    const packets = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as ReplayedPacket);
    expect(packets.map(({ n }) => n)).toEqual([1, 2, 3, 4]);
    expect(packets[0]).toMatchObject({
      file: 'lo',
      outer: { src: '127.0.0.1', dst: '127.0.0.1', protocol: 1 },
      tunnel: null,
      verdict: 'forward',
    });
    expect(packets.at(-1)).toMatchObject({ outer: { src: '::1', dst: '::1', protocol: 58 } });
  });

  it('writes packets with their verdicts as comments, until it is interrupted', async () => {
    const file = join(folder, 'written.pcapng');
    const count = () => readAll(file).packets.length;
    const { status, stderr } = await captured(['any', '--write', file, '--filter', 'icmp'], {
      count,
      wanted: 2,
    });
    expect(status).toBe(0);
    expect(stderr).toMatch(/2 packets\n2 forward/);
    const { packets, error } = readAll(file);
    expect(error).toBeUndefined();
    expect(packets.map(({ linkType, comments }) => [linkType, comments])).toEqual(
      Array.from({ length: 2 }, () => [113, ['forward']]),
    );
    const now = BigInt(Date.now()) * 1_000_000n;
    for (const { time } of packets) expect(now - (time ?? 0n)).toBeLessThan(60_000_000_000n);
  });

  it('ends with the reason when its file takes no more', async () => {
    const { status, stderr } = await captured(['lo', '--write', '/dev/full']);
    expect(status).toBe(1);
    expect(stderr).toContain('overweft: /dev/full: ENOSPC');
    expect(stderr, 'no stack').not.toMatch(/^ {4}at /m);
  });

  it.each([
    ['an interface that is not there', ['nothing0'], 'nothing0: '],
    ['a filter that is none', ['lo', '--filter', 'wrong('], 'filter: wrong('],
    [
      'a file that cannot be written',
      ['lo', '--write', '/nowhere/x'],
      "ENOENT: no such file or directory, open '/nowhere/x'",
    ],
  ])('says what is wrong with %s', async (_, args, message) => {
    const { status, stderr } = await overweft(['capture', ...args], { netns: name });
    expect(status).toBe(1);
    expect(stderr).toContain(message);
    expect(stderr, 'no stack').not.toMatch(/^ {4}at /m);
  });
});
