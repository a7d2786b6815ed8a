// The attached ports, remembered in the run directory: a restarted daemon attaches them again.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import { macField, nameField, pathField } from '../../config/fields.ts';
import type { Bandwidth } from '../../dataplane/rates.ts';
import { formatMac, type Mac } from '../../net/mac.ts';

/** Name of a network interface as the kernel takes it (dev_valid_name, net/core/dev.c). */
export const interfaceField = z
  .string()
  .regex(
    /^(?!\.{1,2}$)[^/:\s%]{1,15}$/,
    'must be an interface name: at most 15 characters, none of them "/", ":", "%" or space',
  );

export const portRequest = z.strictObject({
  /** File of the pod's network namespace. */
  netns: pathField,
  interface: interfaceField.default('eth0'),
});

/** Where a port is. */
export interface PortPlace extends z.output<typeof portRequest> {
  readonly namespace: string;
  readonly pod: string;
}

/** A port with the MAC that its neighbours know. */
export interface RememberedPort extends PortPlace {
  readonly mac: Mac;
  readonly bandwidth: Bandwidth | undefined;
}

const rate = z.object({ rate: z.number().positive(), burst: z.number().positive() }).optional();

/** What a later version knows beside is no damage to one that an operator goes back to. */
const remembered = z.object({
  ...portRequest.shape,
  namespace: nameField,
  pod: nameField,
  mac: macField,
  bandwidth: z.object({ ingress: rate, egress: rate }).optional(),
});

export const portFileIn = (runDirectory: string): string => join(runDirectory, 'ports.json');

export class PortFile {
  readonly #path: string;
  readonly #log: Logger;

  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
  }

  /** What was written last; a damaged file is as good as none. */
  get ports(): RememberedPort[] {
    let text: string;
    try {
      text = readFileSync(this.#path, 'utf8');
    } catch {
      return [];
    }
    try {
      return z
        .array(remembered)
        .parse(JSON.parse(text))
        .map((port) => ({ bandwidth: undefined, ...port }));
    } catch (error) {
      this.#log.error({ err: error, file: this.#path }, 'the file of attached ports is damaged and ignored');
      return [];
    }
  }

  /**
   * Replaces the file: a reader sees the old list or the new one.
   * @throws Error that names the file, where it cannot be written
   */
  write(ports: readonly RememberedPort[]): void {
    const list = ports.map(({ namespace, pod, netns, interface: name, mac, bandwidth }) => {
      return { namespace, pod, netns, interface: name, mac: formatMac(mac), bandwidth };
    });
    try {
      writeFileSync(`${this.#path}.new`, `${JSON.stringify(list, null, 2)}\n`, { mode: 0o600 });
      renameSync(`${this.#path}.new`, this.#path);
    } catch (error) {
      throw new Error(`${this.#path}: cannot be written: ${(error as Error).message}`);
    }
  }
}
