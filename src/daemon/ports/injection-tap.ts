/**
 * The TAP through which superframes reach the node's kernel, which forwards them to the peer.
 *
 *     data path ──► ow-inject ──► the kernel's forwarding ──► underlay device, which splits
 */
import { writeSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { INJECTION_SLOT } from '../../../asm/layout/memory.ts';
import { injectionMac } from '../../dataplane/outer-header.ts';
import type { WorkerPool } from '../../dataplane/pool.ts';
import { ipBatch } from '../../host/iproute.ts';
import { formatMac } from '../../net/mac.ts';
import type { Addon } from '../../phy/addon.ts';

export const injectionDevice = 'ow-inject';

/**
 * Any address will do, as long as there is one: the loose reverse path filter refuses every source on an interface
 * without (Linux net/ipv4/fib_frontend.c). This one is IANA's for such purposes (RFC 7600), seen nowhere else.
 */
const PLACEHOLDER = '192.0.0.8/32';

export class InjectionTap {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Makes the TAP, a queue for each worker and one for this thread. */
  static async open(addon: Addon, pool: WorkerPool, node: string, workers: number): Promise<InjectionTap> {
    const fd = addon.openInjectionTap({ name: injectionDevice });
    // Forwarded are packets that claim to come from this node itself.
    const settings = {
      'ipv4/conf/$/accept_local': '1',
      'ipv4/conf/$/rp_filter': '2',
      'ipv4/conf/$/forwarding': '1',
      'ipv6/conf/$/disable_ipv6': '0',
      'ipv6/conf/$/accept_ra': '0',
      'ipv6/conf/$/force_forwarding': '1',
    };
    for (const [path, value] of Object.entries(settings)) {
      // What cannot be set shows in the probes.
      await writeFile(`/proc/sys/net/${path.replace('$', injectionDevice)}`, value).catch(() => {});
    }
    await ipBatch([
      `link set dev ${injectionDevice} arp off multicast off addrgenmode none`,
      `link set dev ${injectionDevice} address ${formatMac(injectionMac(node))} up`,
      `address replace ${PLACEHOLDER} dev ${injectionDevice} scope host`,
    ]);
    for (let index = 0; index < workers; index++) {
      const queue = addon.openInjectionTap({ name: injectionDevice });
      await pool.ask(index, { type: 'adopt-tap', slot: INJECTION_SLOT, fds: [addon.release(queue)] });
    }
    return new InjectionTap(fd);
  }

  /** @throws what the kernel says of the frame */
  write(frame: Uint8Array): void {
    writeSync(this.#fd, frame);
  }
}
