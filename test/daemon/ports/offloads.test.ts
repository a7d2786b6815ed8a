import { describe, expect, it } from 'vitest';
import {
  OFFLOAD_COALESCE,
  OFFLOAD_TSO,
  OFFLOAD_UDP_SEGMENT,
  OFFLOAD_USO,
} from '../../../asm/layout/memory.ts';
import { chooseOffloads, maxBatch, offloadBits } from '../../../src/daemon/ports/offloads.ts';
import type { HostFeatures, Probe } from '../../../src/phy/addon.ts';
import { loadConfigText } from '../../support/configuration.ts';

const yes: Probe = { available: true };
const no: Probe = { available: false, code: 'EINVAL', errno: -22, syscall: 'ioctl(TUNSETOFFLOAD)' };
const host: HostFeatures = {
  multiQueue: yes,
  tso: yes,
  uso: no,
  tunnelGso: no,
  udpSegment: yes,
  udpGro: yes,
  rcvbufForce: yes,
};

describe('offloads', () => {
  it('are what the host gives', () => {
    const offloads = chooseOffloads(loadConfigText(), host);
    expect(offloads.uso).toEqual({ used: false, reason: 'the host refuses it: ioctl(TUNSETOFFLOAD) EINVAL' });
    expect(offloadBits(offloads)).toBe(OFFLOAD_TSO | OFFLOAD_UDP_SEGMENT | OFFLOAD_COALESCE);
  });

  it('can each be switched off', () => {
    const bits = {
      tso: OFFLOAD_TSO,
      uso: OFFLOAD_USO,
      udpSegment: OFFLOAD_UDP_SEGMENT,
      coalesce: OFFLOAD_COALESCE,
    };
    for (const [name, bit] of Object.entries(bits)) {
      const offloads = chooseOffloads(loadConfigText('node-1', { offloads: { [name]: 'off' } }), {
        ...host,
        uso: yes,
      });
      expect(offloadBits(offloads)).toBe(
        (OFFLOAD_TSO | OFFLOAD_USO | OFFLOAD_UDP_SEGMENT | OFFLOAD_COALESCE) & ~bit,
      );
    }
    expect(chooseOffloads(loadConfigText('node-1', { offloads: { udpGro: 'off' } }), host).udpGro.used).toBe(
      false,
    );
  });

  it('do not segment without outer checksums', () => {
    const config = loadConfigText('node-1', { underlay: { addresses: ['192.0.2.1'], outerChecksum: false } });
    expect(chooseOffloads(config, host).udpSegment).toMatchObject({
      used: false,
      reason: expect.stringContaining('outerChecksum'),
    });
  });

  it.each([
    ['6.18.0', 128],
    ['6.9.1-generic', 128],
    ['6.8.0', 64],
    ['5.15.0', 64],
    ['7.0.0', 128],
  ])('send as many datagrams at once as Linux %s takes', (kernel, most) => {
    expect(maxBatch(kernel)).toBe(most);
  });
});
