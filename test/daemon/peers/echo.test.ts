import { describe, expect, it } from 'vitest';
import { echoRequest, echoRequestIp, readEchoReply } from '../../../src/daemon/peers/echo.ts';
import { address } from '../../../src/net/address.ts';

const echo = { identifier: 0x1234, sequence: 0x0102 };

describe('echo packets', () => {
  it('are ICMP with a checksum', () => {
    const packet = echoRequest(address('192.0.2.1'), address('192.0.2.2'), echo, 11);
    expect(packet.toString('hex')).toBe(
      `0800${(0xffff - (0x0800 + 0x1234 + 0x0102)).toString(16)}12340102000000`,
    );
  });

  it('are ICMPv6 with a checksum over the pseudo-header', () => {
    const packet = echoRequestIp(address('2001:db8::1'), address('2001:db8::2'), echo);
    expect(packet.subarray(0, 40).toString('hex')).toBe(
      '6000000000083a4020010db800000000000000000000000120010db8000000000000000000000002',
    );
    // 2 × (2001 + 0db8) + 1 + 2, length 8, next header 58, then the ICMPv6 bytes
    let sum = 2 * (0x2001 + 0x0db8) + 3 + 8 + 58;
    for (let i = 40; i < packet.length; i += 2) sum += packet.readUInt16BE(i);
    expect((sum & 0xffff) + (sum >> 16)).toBe(0xffff);
  });

  it('are read from replies, behind an IPv4 header with or without options', () => {
    const reply = Buffer.from('000000001234ffff', 'hex');
    expect(readEchoReply(4, Buffer.concat([Buffer.from([0x45, ...new Uint8Array(19)]), reply]))).toEqual({
      identifier: 0x1234,
      sequence: 0xffff,
    });
    expect(readEchoReply(4, Buffer.concat([Buffer.from([0x46, ...new Uint8Array(23)]), reply]))).toEqual({
      identifier: 0x1234,
      sequence: 0xffff,
    });
    expect(readEchoReply(6, Buffer.from('810000001234ffff', 'hex'))).toEqual({
      identifier: 0x1234,
      sequence: 0xffff,
    });
  });

  it('are nothing else', () => {
    expect(readEchoReply(6, Buffer.from('800000001234ffff', 'hex'))).toBeUndefined();
    expect(readEchoReply(6, Buffer.from('8100', 'hex'))).toBeUndefined();
    expect(readEchoReply(4, Buffer.alloc(0))).toBeUndefined();
  });
});
