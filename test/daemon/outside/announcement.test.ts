import { describe, expect, it } from 'vitest';
import { announcements } from '../../../src/daemon/outside/announcement.ts';
import { address } from '../../../src/net/address.ts';
import { checksum } from '../../../src/net/checksum.ts';

const mac = Uint8Array.from([2, 0, 0, 0, 0, 7]);
const hex = (frame: Uint8Array | undefined) => Buffer.from(frame ?? []).toString('hex');

describe('announcements', () => {
  it('are an ARP request and a reply to everybody, for the address itself (RFC 5227)', () => {
    const [request, reply, ...more] = announcements(address('192.0.2.100'), mac);
    expect(hex(request)).toBe(
      `${'ff'.repeat(6)}02000000000708060001080006040001020000000007c0000264000000000000c0000264`,
    );
    expect(hex(reply)).toBe(
      `${'ff'.repeat(6)}02000000000708060001080006040002020000000007c0000264020000000007c0000264`,
    );
    expect(more).toEqual([]);
  });

  it('are an advertisement to all nodes that overrides (RFC 4861)', () => {
    const [frame = new Uint8Array(), ...more] = announcements(address('2001:db8::100'), mac);
    expect(more).toEqual([]);
    expect(hex(frame.subarray(0, 22))).toBe('33330000000102000000000786dd6000000000203aff');
    expect(hex(frame.subarray(22, 54))).toBe(`20010db8${'00'.repeat(10)}0100ff02${'00'.repeat(13)}01`);
    const message = frame.subarray(54);
    expect(hex(message)).toMatch(/^8800.{4}a000000020010db80{20}01000201020000000007$/);
    const pseudo = Buffer.concat([frame.subarray(22, 54), Buffer.from([0, 0, 0, 32, 0, 0, 0, 58])]);
    // What is right sums to all ones.
    expect(checksum([pseudo, message])).toBe(0);
  });
});
