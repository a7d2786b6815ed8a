/**
 * wireguard-go: a TUN with segmentation offloads and an encrypted tunnel, set up over its own UAPI socket.
 *
 *     eth0 (pod) ── pod0 ─ routes ─ ow-wgN (TUN) ─ UDP 51820 ─ under0
 */
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { ipBatch } from '../../host/iproute.ts';
import { netnsFile } from '../../host/netns.ts';
import { LabError } from '../../lab/outcome.ts';
import type { Peer } from '../contestant.ts';
import { routedPod } from '../nodes.ts';
import { buildThem, builtProgram, builtVersion } from './built.ts';

/** As wg-quick sets it: 1500 less what the tunnel takes over IPv6. */
const mtu = 1420;
const port = 51_820;

export const wireguardGo: Peer = {
  title: 'wireguard-go',
  encrypts: true,
  version: () => builtVersion('wireguard'),
  obtain: buildThem,
  connect: async (nodes, _setting, { start }) => {
    const [first, second] = nodes.map((node, index) => ({
      node,
      device: `ow-wg${index + 1}`,
      keys: keyPair(),
    }));
    if (!first || !second) return;
    for (const [own, other] of [
      [first, second],
      [second, first],
    ] as const) {
      start(own.node.netns, builtProgram('wireguard', 'wireguard'), ['--foreground', own.device], {
        LOG_LEVEL: 'error',
      });
      await configure(own.device, [
        `private_key=${own.keys.privateKey}`,
        `listen_port=${port}`,
        `public_key=${other.keys.publicKey}`,
        `endpoint=${other.node.underlay[0]}:${port}`,
        `allowed_ip=${other.node.podCIDRs[0]}`,
      ]);
      await routedPod(own.node, mtu);
      const lines = [
        `link set ${own.device} mtu ${mtu} up`,
        `route add ${other.node.podCIDRs[0]} dev ${own.device}`,
      ];
      await ipBatch(lines, { netns: netnsFile(own.node.netns) });
    }
  },
};

/** X25519, in hexadecimal as the UAPI wants it. */
function keyPair(): { privateKey: string; publicKey: string } {
  const { x = '', d = '' } = generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' });
  const hex = (base64url: string) => Buffer.from(base64url, 'base64url').toString('hex');
  return { privateKey: hex(d), publicKey: hex(x) };
}

/** https://www.wireguard.com/xplatform/#configuration-protocol; the folder is fixed in the program. */
async function configure(device: string, lines: readonly string[]): Promise<void> {
  const path = `/var/run/wireguard/${device}.sock`;
  const socket = await answering(path, performance.now() + 5000);
  socket.write(`set=1\n${lines.join('\n')}\n\n`);
  socket.setTimeout(5000, () => socket.destroy(new Error(`${path} does not answer`)));
  let answer = '';
  for await (const chunk of socket) {
    answer += chunk;
    // It waits for the next operation.
    if (answer.includes('\n\n')) break;
  }
  if (!answer.includes('errno=0\n'))
    throw new LabError(`wireguard-go refuses its configuration: ${answer.trim()}`);
}

/** Connects to a socket as soon as somebody listens there: a file may be one that an earlier process has left. */
async function answering(path: string, deadline: number): Promise<Socket> {
  for (;;) {
    const socket = connect(path);
    try {
      await once(socket, 'connect');
      return socket;
    } catch (error) {
      if (performance.now() > deadline) throw new LabError(`nobody answers at ${path}`, { cause: error });
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
