/**
 * nebula: a TUN and an encrypted tunnel between hosts; pods are reached through the hosts' certificates.
 *
 *     eth0 (pod) ── pod0 ─ routes ─ nebula0 (TUN) ─ UDP 4242 ─ under0
 */
import { writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { run } from '../../host/command.ts';
import type { Peer } from '../contestant.ts';
import { type BenchNode, routedPod } from '../nodes.ts';
import { buildThem, builtProgram, builtVersion } from './built.ts';

/** 1500 less IPv4, UDP, nebula's header and AES-GCM's tag. */
const mtu = 1440;
const port = 4242;

/** The hosts' own addresses in the overlay. */
const overlay = ['192.168.100.1', '192.168.100.2'] as const;

export const nebula: Peer = {
  title: 'nebula',
  encrypts: true,
  version: () => builtVersion('nebula'),
  obtain: buildThem,
  connect: async ([first, second], _setting, { start, directory }) => {
    const authority = { cert: `${directory}/ca.crt`, key: `${directory}/ca.key` };
    const cert = (...args: string[]) => run(builtProgram('nebula', 'nebula-cert'), args);
    await cert('ca', '-name', 'bench', '-out-crt', authority.cert, '-out-key', authority.key);
    const ends = [
      { own: first, other: second, address: overlay[0], far: overlay[1] },
      { own: second, other: first, address: overlay[1], far: overlay[0] },
    ];
    for (const { own, other, address, far } of ends) {
      const file = `${directory}/${own.netns}`;
      await cert(
        ...['sign', '-ca-crt', authority.cert, '-ca-key', authority.key, '-name', own.netns],
        ...['-networks', `${address}/24`, '-unsafe-networks', own.podCIDRs[0]],
        ...['-out-crt', `${file}.crt`, '-out-key', `${file}.key`],
      );
      const pki = { ca: authority.cert, cert: `${file}.crt`, key: `${file}.key` };
      writeFileSync(`${file}.yaml`, stringify({ pki, ...configuration(own, other, far) }));
      await routedPod(own, mtu);
      start(own.netns, builtProgram('nebula', 'nebula'), ['-config', `${file}.yaml`]);
    }
  },
};

const configuration = (own: BenchNode, other: BenchNode, far: string): object => ({
  static_host_map: { [far]: [`${other.underlay[0]}:${port}`] },
  lighthouse: { am_lighthouse: false },
  listen: { host: own.underlay[0], port },
  tun: { dev: 'nebula0', mtu, unsafe_routes: [{ route: other.podCIDRs[0], via: far }] },
  firewall: {
    outbound: [{ port: 'any', proto: 'any', host: 'any', local_cidr: '0.0.0.0/0' }],
    inbound: [{ port: 'any', proto: 'any', host: 'any', local_cidr: '0.0.0.0/0' }],
  },
});
