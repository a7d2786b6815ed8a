import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AddressError } from '../../src/ipam/error.ts';
import { type Attachment, Ledger } from '../../src/ipam/ledger.ts';
import { address } from '../../src/net/address.ts';
import { prefix } from '../../src/net/prefix.ts';

const QUARANTINE = 30;
const nobody = () => undefined;

describe('ledger', () => {
  let directory: string;
  let path: string;
  let now: number;
  beforeEach(() => {
    directory = mkdtempSync(`${tmpdir()}/overweft-ledger-`);
    path = `${directory}/attachments.json`;
    now = 1000;
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const open = (boot = 'boot-1') => new Ledger({ path, boot, now: () => now, quarantine: QUARANTINE });
  const who = (containerId: string) => ({
    network: 'net',
    containerId,
    interface: 'eth0',
    namespace: 'default',
    pod: containerId,
    netns: `/run/netns/${containerId}`,
    namespaceId: 1,
    hostPorts: [],
  });
  const blocks = [prefix('10.244.1.0/29'), prefix('fd00:244:1::/125')];
  const wanted = { blocks, requested: [], owner: nobody };
  const texts = ({ addresses }: Attachment) => addresses.map(({ text }) => text);

  it('gives an address of each range, and not one that somebody has', () => {
    const owner = ({ text }: { text: string }) => (text === '10.244.1.2' ? 'pod default/other' : undefined);
    const made = open().reserve(who('a'), { ...wanted, owner });
    expect(texts(made)).toEqual(['10.244.1.3', 'fd00:244:1::2']);
  });

  it('gives the requested addresses, and of the other family one of its own', () => {
    const made = open().reserve(who('a'), { ...wanted, requested: [address('fd00:244:1::6')] });
    expect(texts(made)).toEqual(['10.244.1.2', 'fd00:244:1::6']);
  });

  it('gives a preferred address only where it is free', () => {
    const ledger = open();
    const preferred = [address('10.244.1.5'), address('192.0.2.1')];
    expect(texts(ledger.reserve(who('a'), { ...wanted, preferred }))).toEqual([
      '10.244.1.5',
      'fd00:244:1::2',
    ]);
    expect(texts(ledger.reserve(who('b'), { ...wanted, preferred }))).toEqual([
      '10.244.1.2',
      'fd00:244:1::3',
    ]);
  });

  it.each([
    ['10.244.1.1', 'unusable', /is not for pods of this node, whose ranges are 10\.244\.1\.0\/29, fd00/],
    ['10.244.2.2', 'unusable', /is not for pods of this node/],
    ['10.244.1.2', 'taken', /is taken by pod default\/a/],
    ['10.244.1.3', 'resting', /free in 30 s/],
    ['10.244.1.4', 'taken', /is taken by node node-2/],
  ])('does not give the requested %s: %s', (text, reason, message) => {
    const ledger = open();
    ledger.reserve(who('a'), wanted);
    ledger.release(ledger.reserve(who('b'), wanted));
    const owner = (one: { text: string }) => (one.text === '10.244.1.4' ? 'node node-2' : undefined);
    const attempt = () => ledger.reserve(who('c'), { ...wanted, requested: [address(text)], owner });
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(expect.objectContaining({ reason }));
    expect(ledger.attachments.map(({ pod }) => pod)).toEqual(['a']);
  });

  it('says that a range is used up, or when the first address is free again', () => {
    const ledger = open();
    const made = Array.from({ length: 5 }, (_, i) => ledger.reserve(who(`${i}`), wanted));
    expect(() => ledger.reserve(who('x'), wanted)).toThrow(
      '10.244.1.0/29: every address for pods is in use, 5 in all',
    );
    expect(ledger.fault(blocks, nobody)?.reason).toBe('used up');
    expect(blocks.map((block) => ledger.use(block))).toEqual([
      { range: '10.244.1.0/29', capacity: 5, used: 5, quarantined: 0 },
      { range: 'fd00:244:1::/125', capacity: 6, used: 5, quarantined: 0 },
    ]);
    if (made[3]) ledger.release(made[3]);
    expect(blocks.map((block) => ledger.use(block))).toMatchObject([
      { used: 4, quarantined: 1 },
      { used: 4, quarantined: 1 },
    ]);
    now += 10;
    expect(() => ledger.reserve(who('x'), wanted)).toThrow(
      'every free address of 10.244.1.0/29: released a moment ago, free in 20 s',
    );
    now += 20;
    expect(ledger.fault(blocks, nobody)).toBeUndefined();
    expect(texts(ledger.reserve(who('x'), wanted))).toContain('10.244.1.5');
  });

  it('records what another plugin has handed out, once', () => {
    const ledger = open();
    ledger.record({ ...who('a'), addresses: [address('10.244.1.100')] }, nobody);
    const again = () => ledger.record({ ...who('b'), addresses: [address('10.244.1.100')] }, nobody);
    expect(again).toThrow('10.244.1.100: is taken by pod default/a');
  });

  it('ends all with the boot, and lets their addresses rest', () => {
    const first = open();
    first.reserve(who('a'), wanted);
    const second = open('boot-2');
    expect(second.attachments).toEqual([]);
    expect(() => second.reserve(who('b'), { ...wanted, requested: [address('10.244.1.2')] })).toThrow(
      /free in/,
    );
    now += QUARANTINE;
    expect(texts(second.reserve(who('b'), { ...wanted, requested: [address('10.244.1.2')] }))).toContain(
      '10.244.1.2',
    );
  });

  it('does not take a damaged file for an empty one', () => {
    open().reserve(who('a'), wanted);
    writeFileSync(path, readFileSync(path, 'utf8').slice(0, -20));
    expect(() => open()).toThrow(`${path} is damaged`);
  });

  it('keeps MAC, UID and all else over a restart', () => {
    const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
    open().reserve({ ...who('a'), uid: 'u-1', mac }, wanted);
    expect(open().attachments).toEqual([
      { ...who('a'), uid: 'u-1', mac, addresses: [address('10.244.1.2'), address('fd00:244:1::2')] },
    ]);
    expect(existsSync(`${path}.new`)).toBe(false);
  });

  it('never gives an address twice, nor one that rests, whatever happens', () => {
    const action = fc.oneof(
      { weight: 5, arbitrary: fc.constant({ kind: 'reserve' } as const) },
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('release' as const), which: fc.nat(10) }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), seconds: fc.nat(40) }) },
      { weight: 1, arbitrary: fc.constantFrom({ kind: 'restart' } as const, { kind: 'reboot' } as const) },
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        rmSync(path, { force: true });
        now = 1000;
        let boots = 0;
        let ledger = open(`boot-${boots}`);
        const restingUntil = new Map<string, number>();
        const rest = (list: string[]) => {
          for (const text of list) restingUntil.set(text, now + QUARANTINE);
        };
        for (const [i, step] of actions.entries()) {
          if (step.kind === 'reserve') {
            const inUse = ledger.attachments.flatMap(texts);
            try {
              for (const text of texts(ledger.reserve(who(`${i}`), wanted))) {
                expect(inUse).not.toContain(text);
                expect(restingUntil.get(text) ?? 0).toBeLessThanOrEqual(now);
              }
            } catch (error) {
              if (!(error instanceof AddressError)) throw error;
              const busy = [...restingUntil.values()].filter((until) => until > now).length / 2;
              expect(inUse.length / 2 + busy).toBeGreaterThanOrEqual(5);
            }
          } else if (step.kind === 'release') {
            const gone = ledger.attachments[step.which % Math.max(1, ledger.attachments.length)];
            if (gone) {
              ledger.release(gone);
              rest(texts(gone));
            }
          } else if (step.kind === 'wait') {
            now += step.seconds;
          } else if (step.kind === 'restart') {
            const before = ledger.attachments;
            ledger = open(`boot-${boots}`);
            expect(ledger.attachments).toEqual(before);
          } else {
            rest(ledger.attachments.flatMap(texts));
            now = 0;
            for (const text of restingUntil.keys()) restingUntil.set(text, QUARANTINE);
            ledger = open(`boot-${++boots}`);
            expect(ledger.attachments).toEqual([]);
          }
        }
      }),
      { numRuns: 150 },
    );
  });
});
