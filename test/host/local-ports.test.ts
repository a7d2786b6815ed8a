// Source ports that the kernel gives to the host's own processes as well.
import { describe, expect, it } from 'vitest';
import { sharedPorts } from '../../src/host/local-ports.ts';

const ports = { first: 61_000, last: 65_535 };

describe('source ports', () => {
  it.each([
    ['behind the range', { range: '32768\t60999', reserved: '' }],
    ['all reserved', { range: '1024 65535', reserved: '8080,61000-65535' }],
    ['reserved in parts', { range: '1024 65535', reserved: '61000-62000,62001,62002-65535' }],
    ['of a kernel that has no such setting', { range: '', reserved: '' }],
  ])("are the data path's alone: %s", (_, local) => {
    expect(sharedPorts(ports, local)).toBeUndefined();
  });

  it('are shared where the range of local ports reaches into them', () => {
    expect(sharedPorts(ports, { range: '15000 65000', reserved: '61000-61999' })).toEqual({
      message:
        "services.sourcePorts is 61000-65535, and the kernel gives 3001 of these ports to the host's own processes " +
        '(net.ipv4.ip_local_port_range is 15000 65000, net.ipv4.ip_local_reserved_ports is 61000-61999)',
      advice:
        'sysctl -w net.ipv4.ip_local_reserved_ports=61000-61999,61000-65535, or set services.sourcePorts to others',
    });
  });
});
