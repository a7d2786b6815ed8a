// The capability `portMappings`, as https://www.cni.dev/plugins/current/meta/portmap/ has it.
import { z } from 'zod';
import type { Config } from '../config/schema.ts';
import type { Protocol } from '../control/object-fields.ts';
import type { Attachment, Ledger } from '../ipam/ledger.ts';
import { type Address, parseAddress } from '../net/address.ts';
import { contains, prefix } from '../net/prefix.ts';
import { answersAt, type HostPort, hostPortText, isUnspecified, overlap } from '../service/host-ports.ts';
import type { NetworkConfig } from './call.ts';
import { CniError, codes } from './error.ts';

/** A value that `read` understands; `right` says what would be. */
const read = <T>(understood: (value: unknown) => T | undefined, right: string) =>
  z
    .unknown()
    .optional()
    .transform((value, context): T => {
      const result = understood(value);
      if (result !== undefined) return result;
      const message = value === undefined ? `is missing: ${right}` : `${right}, not ${JSON.stringify(value)}`;
      context.issues.push({ code: 'custom', message, input: value });
      return z.NEVER;
    });

const isNone = (value: unknown): boolean => value === undefined || value === null || value === '';

const port = read(
  (value) =>
    typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65_536 ? value : undefined,
  'must be an integer from 1 to 65535',
);

const protocols: Readonly<Record<string, Protocol>> = { tcp: 'TCP', udp: 'UDP', sctp: 'SCTP' };

export const portMappingsField = z.array(
  z.looseObject({
    hostPort: port,
    containerPort: port,
    protocol: read(
      (value) => (isNone(value) ? 'TCP' : protocols[`${value}`.toLowerCase()]),
      'must be tcp, udp or sctp',
    ),
    /** Null: none is named. */
    hostIP: read(
      (value): Address | null | undefined =>
        isNone(value) ? null : typeof value === 'string' ? parseAddress(value) : undefined,
      'must be an IPv4 or IPv6 address',
    ),
  }),
);

const loopback = [prefix('127.0.0.0/8'), prefix('::1/128')];

/**
 * The host ports that a runtime asks for, each once.
 * @throws CniError naming field and value
 */
export function hostPortsOf({ runtimeConfig }: Pick<NetworkConfig, 'runtimeConfig'>): HostPort[] {
  const asked = (runtimeConfig?.portMappings ?? []).map(({ protocol, hostIP, hostPort, containerPort }) => ({
    protocol,
    ...(hostIP && { hostIP }),
    hostPort,
    containerPort,
  }));
  return asked.filter((one: HostPort, i) => {
    const { hostIP } = one;
    if (hostIP && loopback.some((block) => contains(block, hostIP))) {
      throw new CniError(
        codes.unsupportedField,
        `runtimeConfig.portMappings[${i}].hostIP: ${hostIP.text}: Overweft maps no ports of loopback addresses`,
      );
    }
    const before = asked.slice(0, i);
    const rival = before.findIndex(
      (other) => overlap(one, other) && other.containerPort !== one.containerPort,
    );
    if (rival >= 0) {
      throw new CniError(
        codes.invalidConfig,
        `runtimeConfig.portMappings[${i}]: host port ${hostPortText(one)} leads to another container port in portMappings[${rival}]`,
      );
    }
    return !before.some((other) => overlap(one, other) && other.hostIP?.text === hostIP?.text);
  });
}

/**
 * The tunnels of the node end at ports of its own.
 * @throws CniError
 */
export function requireNoTunnelPorts(
  hostPorts: readonly HostPort[],
  { ports, underlay }: Pick<Config, 'ports' | 'underlay'>,
): void {
  const taken = hostPorts.find(
    (one) =>
      one.protocol === 'UDP' &&
      (one.hostPort === ports.vxlan || one.hostPort === ports.geneve) &&
      underlay.addresses.some((address) => answersAt(one, address)),
  );
  if (!taken) return;
  throw new CniError(
    codes.unsupportedField,
    `runtimeConfig.portMappings: host port ${hostPortText(taken)}: tunnels of this node end there`,
  );
}

/**
 * Whether another pod has one of the host ports. The same pod anew takes its own over: the one before is being taken away.
 * @throws CniError naming the port and the pod
 */
export function requireFreeHostPorts(
  hostPorts: readonly HostPort[],
  { namespace, pod }: Pick<Attachment, 'namespace' | 'pod'>,
  { attachments }: Pick<Ledger, 'attachments'>,
): void {
  for (const one of hostPorts) {
    const owner = attachments.find(
      (other) =>
        (other.namespace !== namespace || other.pod !== pod) &&
        other.hostPorts.some((theirs) => overlap(one, theirs)),
    );
    if (!owner) continue;
    throw new CniError(
      codes.hostPortTaken,
      `runtimeConfig.portMappings: host port ${hostPortText(one)} is taken by pod ${owner.namespace}/${owner.pod}`,
    );
  }
}

/**
 * An address of the node can lead to one of the same family only.
 * @throws CniError
 */
export function requireFamilies(hostPorts: readonly HostPort[], addresses: readonly Address[]): void {
  for (const { hostIP } of hostPorts) {
    const isAnywhere = !hostIP || isUnspecified(hostIP);
    if (isAnywhere || addresses.some(({ family }) => family === hostIP.family)) continue;
    throw new CniError(
      codes.invalidConfig,
      `runtimeConfig.portMappings: hostIP: ${hostIP.text}: the pod has no IPv${hostIP.family} address`,
    );
  }
}
