// What the daemon's API answers to a call for probes: POST /v1/connectivity.
import { z } from 'zod';
import { issuesOf } from '../config/issues.ts';
import type { Config } from '../config/schema.ts';
import type { Objects } from '../control/objects.ts';
import type { Tunnel } from '../control/topology.ts';
import type { Controller } from '../daemon/controller.ts';
import { PortError, type Ports } from '../daemon/ports/ports.ts';
import { type Explanation, PolicyOracle } from '../policy/why.ts';
import { type Pair, pairsOf } from './pairs.ts';
import { probe, type Reach } from './probe.ts';

/** Of one node's daemon. */
export interface Connectivity {
  readonly node: string;
  readonly pairs: readonly Reach[];
}

const names = z.array(z.string()).optional();
const requestSchema = z.strictObject({ from: names, to: names });

export interface ConnectivityParts {
  readonly config: Config;
  readonly controller: Controller;
  readonly ports: Ports;
  readonly objects: () => Objects | undefined;
}

/** More than this would take the better part of an hour. */
const MOST_PAIRS = 20_000;

/**
 * @param request `{from?, to?}`: names of nodes and of pods (`namespace/name`), all by default
 * @throws PortError where it cannot be done
 */
export async function connectivity(request: unknown, parts: ConnectivityParts): Promise<Connectivity> {
  const parsed = requestSchema.safeParse(request);
  if (!parsed.success) {
    const lines = issuesOf(parsed.error).map(({ path, message }) => `${path}: ${message}`);
    throw new PortError(400, lines.join('; '));
  }
  const { config, controller, ports, objects } = parts;
  const { live } = controller;
  if (!live) throw new PortError(503, `no tables are live: ${controller.fault ?? 'wait for /readyz'}`);
  const pairs = pairsOf(live.desired, ports.list, parsed.data);
  if (pairs.length > MOST_PAIRS) {
    const message = `${pairs.length} pairs are more than the ${MOST_PAIRS} that are probed in one call: name some nodes and pods`;
    throw new PortError(400, message);
  }
  const reached = await probe(pairs, {
    mtu: live.interfaceMtu,
    tunnelTo: (node) =>
      live.desired.tunnels.find(({ peer, isPreferred }) => peer.name === node && isPreferred),
    carrier: (tunnel) => carrier(tunnel, config),
    explain: (silent) => explain(silent, objects()),
  });
  return { node: config.node, pairs: reached };
}

function carrier({ encapsulation, family }: Tunnel, { ports }: Config): string {
  if (encapsulation === 'ipip') return `IPIP (IPv${family} with protocol 4 or 41)`;
  if (encapsulation === 'direct') return "frames from the node's device to the peer's";
  return `${encapsulation.toUpperCase()} (UDP port ${ports[encapsulation]})`;
}

function explain(pairs: readonly Pair[], objects: Objects | undefined): Explanation[] {
  if (!objects) return [];
  const oracle = new PolicyOracle(objects);
  const questions = pairs.map(({ source, target }) =>
    oracle.probe({ from: source.text, to: target.text, protocol: 'ICMP' }),
  );
  return [...oracle.explain(questions)];
}
