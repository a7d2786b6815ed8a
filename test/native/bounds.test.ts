import { constants } from 'node:os';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TX_MESSAGE_SIZE, TX_STATUS } from '../../asm/layout/burst.ts';
import { FIRST_SOCKET_SLOT, MAX_SOCKETS } from '../../asm/layout/memory.ts';
import {
  ARENA,
  addon,
  bytes,
  DESCRIPTORS,
  IOVS,
  MEMORY_SIZE,
  MESSAGES,
  pattern,
  putIov,
  putMessage,
  putSocketAddress,
  receiveDatagrams,
  STRIDE,
  status,
  udp,
} from './burst.ts';

const { errno } = constants;
const TOP = 0xffffffff;
const loopback = { address: '127.0.0.1' };

/** Runs a call that must either return a count or throw a RangeError. */
function answers(call: () => number, most: number): void {
  try {
    const result = call();
    expect(result).toBeLessThanOrEqual(most);
  } catch (error) {
    expect(error).toBeInstanceOf(RangeError);
  }
}

describe('bounds', () => {
  it('refuses receive arguments that reach outside, whichever it is', () => {
    const frames: [string, number[]][] = [
      ['descriptors', [MEMORY_SIZE - 15, 1, ARENA, MEMORY_SIZE, 0, 2048]],
      ['descriptors', [TOP, 1, ARENA, MEMORY_SIZE, 0, 2048]],
      ['max', [DESCRIPTORS, TOP, ARENA, MEMORY_SIZE, 0, 2048]],
      ['arena end', [DESCRIPTORS, 1, ARENA, MEMORY_SIZE + 1, 0, 2048]],
      ['arena', [DESCRIPTORS, 1, ARENA + 1, ARENA, 0, 2048]],
      ['arena', [DESCRIPTORS, 1, TOP, TOP, 0, 2048]],
      ['maxFrame', [DESCRIPTORS, 1, ARENA, MEMORY_SIZE, 0, 0]],
    ];
    for (const [name, args] of frames) {
      expect(() => addon.receiveFrames(...(args as Parameters<typeof addon.receiveFrames>)), name).toThrow(
        RangeError,
      );
    }
    expect(addon.receiveFrames(DESCRIPTORS, 1, ARENA, MEMORY_SIZE, TOP, TOP)).toBe(0);

    const datagrams: [string, number[]][] = [
      ['descriptors', [MEMORY_SIZE - 47, 1, ARENA, STRIDE, 256, 2048]],
      ['max', [MEMORY_SIZE - 48 * 16, 17, ARENA, STRIDE, 256, 2048]],
      ['arena', [DESCRIPTORS, 1, MEMORY_SIZE - STRIDE + 1, STRIDE, 256, 2048]],
      ['stride', [DESCRIPTORS, 16, ARENA, TOP, 256, 2048]],
      ['headroom', [DESCRIPTORS, 1, ARENA, STRIDE, STRIDE - 2047, 2048]],
      ['headroom', [DESCRIPTORS, 1, ARENA, STRIDE, TOP, 2048]],
      ['bufferLength', [DESCRIPTORS, 1, ARENA, STRIDE, 256, TOP]],
      ['bufferLength', [DESCRIPTORS, 1, ARENA, STRIDE, 256, 0]],
    ];
    for (const [name, args] of datagrams) {
      expect(
        () => addon.receiveDatagrams(...(args as Parameters<typeof addon.receiveDatagrams>)),
        name,
      ).toThrow(RangeError);
    }
  });

  it('refuses transmit tables that reach outside, and arguments that are no numbers', () => {
    expect(() => addon.transmit(MEMORY_SIZE - 31, 1, IOVS, 1)).toThrow(RangeError);
    expect(() => addon.transmit(MESSAGES, TOP, IOVS, 1)).toThrow(RangeError);
    expect(() => addon.transmit(MESSAGES, 0x08000001, IOVS, 1)).toThrow(RangeError);
    expect(() => addon.transmit(MESSAGES, 0, MEMORY_SIZE - 7, 1)).toThrow(RangeError);
    expect(() => addon.transmit(MESSAGES, 0, IOVS, 0x20000001)).toThrow(RangeError);
    // @ts-expect-error: what plain JavaScript could pass
    expect(() => addon.transmit(MESSAGES, 1, IOVS)).toThrow(TypeError);
    // @ts-expect-error: what plain JavaScript could pass
    expect(() => addon.transmit(MESSAGES, 1n, IOVS, 1)).toThrow(TypeError);
    expect(addon.transmit(MEMORY_SIZE, 0, MEMORY_SIZE, 0)).toBe(0);
  });

  it('refuses a message of which any part reaches outside, and sends nothing of it', () => {
    using sender = udp(0, loopback);
    using receiver = udp(1, loopback);
    const address = putSocketAddress('127.0.0.1', receiver.port);
    const good = { slot: sender.slot, address };
    const iovs: [number, number][] = [
      [ARENA, 8],
      [MEMORY_SIZE - 7, 8],
      [TOP, 1],
      [ARENA, TOP],
      [TOP, TOP],
      [MEMORY_SIZE - 8, 8],
    ];
    for (const [index, [offset, length]] of iovs.entries()) putIov(index, offset, length);
    const cases: [Parameters<typeof putMessage>[1], number][] = [
      [{ ...good, iov: 0, iovs: 1 }, 0],
      [{ ...good, iov: 1, iovs: 1 }, errno.EFAULT],
      [{ ...good, iov: 0, iovs: 2 }, errno.EFAULT],
      [{ ...good, iov: 2, iovs: 1 }, errno.EFAULT],
      [{ ...good, iov: 3, iovs: 1 }, errno.EFAULT],
      [{ ...good, iov: 4, iovs: 1 }, errno.EFAULT],
      [{ ...good, iov: 5, iovs: 1 }, 0],
      [{ ...good, iov: 5, iovs: 2 }, errno.EFAULT],
      [{ ...good, iov: 6, iovs: 1 }, errno.EFAULT],
      [{ ...good, iov: TOP, iovs: 1 }, errno.EFAULT],
      [{ ...good, iov: TOP, iovs: 2 }, errno.EFAULT],
      [{ ...good, iov: 0, iovs: 0 }, errno.EINVAL],
      [{ ...good, iov: 0, iovs: 1025 }, errno.EINVAL],
      [{ ...good, iov: 0, iovs: TOP }, errno.EINVAL],
      [{ ...good, address: MEMORY_SIZE - 27 }, errno.EFAULT],
      [{ ...good, address: TOP }, errno.EFAULT],
      [{ ...good, address: 0 }, errno.EDESTADDRREQ],
      [{ ...good, address: ARENA }, errno.EAFNOSUPPORT],
      [{ ...good, slot: 0 }, errno.ENODEV],
      [{ ...good, slot: FIRST_SOCKET_SLOT + MAX_SOCKETS }, errno.ENODEV],
      [{ ...good, slot: 0xffff }, errno.ENODEV],
    ];
    bytes.fill(0, ARENA, ARENA + 64);
    for (const [index, [message]] of cases.entries()) putMessage(index, message);
    const refused = addon.transmit(MESSAGES, cases.length, IOVS, iovs.length);
    expect(cases.map((_, index) => status(index))).toEqual(cases.map(([, expected]) => expected));
    expect(refused).toBe(cases.filter(([, expected]) => expected !== 0).length);
    addon.wait(1000);
    expect(receiveDatagrams().map(({ length }) => length)).toEqual([8, 8]);
  });

  it('sends the longest gather list, and batches that fill the list of one system call', () => {
    using sender = udp(0, loopback);
    using receiver = udp(1, { ...loopback, receiveBuffer: 4 << 20 });
    const address = putSocketAddress('127.0.0.1', receiver.port);
    bytes.set(pattern(2048), ARENA);
    for (let index = 0; index < 10 * 1024; index++) putIov(index, ARENA + (index % 1024), 1);
    for (let index = 0; index < 10; index++) {
      putMessage(index, { slot: sender.slot, address, iov: index * 1024, iovs: 1024 });
    }
    expect(addon.transmit(MESSAGES, 10, IOVS, 10 * 1024)).toBe(0);
    addon.wait(1000);
    const received = receiveDatagrams();
    expect(received.map(({ length }) => length)).toEqual(Array(10).fill(1024));
    expect(received[9]?.data).toEqual(pattern(1024));
  });

  it('survives any descriptors', () => {
    using sender = udp(0, loopback);
    using six = udp(1, { address: '::' });
    const word = fc.oneof(
      fc.nat(0x40),
      fc.constantFrom(0, 1, ARENA, IOVS, MEMORY_SIZE, MEMORY_SIZE - 1, TOP, 0x80000000),
      fc.integer({ min: 0, max: TOP }),
    );
    const message = fc.record({
      slot: fc.oneof(fc.constantFrom(sender.slot, six.slot), fc.nat(0xffff)),
      tos: fc.nat(255),
      iov: word,
      iovs: word,
      segment: fc.nat(0xffff),
      address: fc.oneof(word, fc.constant(putSocketAddress('127.0.0.1', 9))),
    });
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 80 }),
        fc.array(fc.tuple(word, word), { maxLength: 64 }),
        (rows, iovs) => {
          for (const [index, row] of rows.entries()) putMessage(index, row);
          for (const [index, [offset, length]] of iovs.entries()) putIov(index, offset, length);
          const expected = bytes.slice();
          const refused = addon.transmit(MESSAGES, rows.length, IOVS, iovs.length);
          for (let index = 0; index < rows.length; index++) {
            const field = MESSAGES + index * TX_MESSAGE_SIZE + TX_STATUS;
            expected.set(bytes.subarray(field, field + 4), field);
          }
          expect(Buffer.compare(bytes, expected)).toBe(0);
          const statuses = rows.map((_, index) => status(index));
          expect(statuses.every((value) => value >= 0 && value < 4096)).toBe(true);
          expect(statuses.filter((value) => value !== 0)).toHaveLength(refused);
        },
      ),
      { numRuns: 200 },
    );
    fc.assert(
      fc.property(fc.array(word, { minLength: 6, maxLength: 6 }), (args) => {
        const six = args as [number, number, number, number, number, number];
        answers(() => addon.receiveFrames(...six), 0);
        answers(() => addon.receiveDatagrams(...six), 64);
        answers(() => addon.transmit(six[0], six[1] % 100, six[2], six[3]), 100);
      }),
      { numRuns: 500 },
    );
  });
});
