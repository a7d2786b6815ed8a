/**
 * Truth tables as text: one line a statement, the last one that applies decides, and what none speaks of is allowed.
 *
 *     deny  *   → x/a             everybody, by every protocol and port
 *     allow y/* → x/a  TCP 81     but pods of y on one port
 *     deny  x/a → y/b  IPv6
 *
 * A pod always reaches itself.
 */
import type { ProbeProtocol } from '../../support/prober.ts';

export const podNames = ['x/a', 'x/b', 'x/c', 'y/a', 'y/b', 'y/c', 'z/a', 'z/b', 'z/c'] as const;
export type PodName = (typeof podNames)[number];

export const probedPorts = [80, 81] as const;
const protocols = ['TCP', 'UDP', 'SCTP'] as const;
const families = [4, 6] as const;

/** One field of the table. */
export interface Way {
  readonly from: PodName;
  readonly to: PodName;
  readonly protocol: ProbeProtocol;
  readonly port: (typeof probedPorts)[number];
  readonly family: 4 | 6;
}

/** Every field: 81 pairs, three protocols, two ports, two families. */
export const ways: readonly Way[] = podNames.flatMap((from) =>
  podNames.flatMap((to) =>
    protocols.flatMap((protocol) =>
      probedPorts.flatMap((port) => families.map((family) => ({ from, to, protocol, port, family }))),
    ),
  ),
);

export const wayText = ({ from, to, protocol, port, family }: Way): string =>
  `${from} → ${to} ${protocol} ${port} IPv${family}`;

interface Statement {
  readonly isAllowed: boolean;
  readonly holds: (way: Way) => boolean;
}

/** @throws Error naming the line that is no statement */
export function truthOf(text: string): (way: Way) => boolean {
  const statements = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map(statementOf);
  return (way) => way.from === way.to || (statements.findLast(({ holds }) => holds(way))?.isAllowed ?? true);
}

function statementOf(line: string): Statement {
  const match = /^(allow|deny) +(\S+) +→ +(\S+)(?: +(TCP|UDP|SCTP))?(?: +(\d+))?(?: +IPv([46]))?$/.exec(line);
  if (!match) throw new Error(`no statement of a truth table: ${line}`);
  const [, verdict, from = '', to = '', protocol, port, family] = match;
  return {
    isAllowed: verdict === 'allow',
    holds: (way) =>
      matches(from, way.from) &&
      matches(to, way.to) &&
      (protocol === undefined || protocol === way.protocol) &&
      (port === undefined || Number(port) === way.port) &&
      (family === undefined || Number(family) === way.family),
  };
}

// `*`, `x/*`, `*/a` or `x/a`.
function matches(pattern: string, name: PodName): boolean {
  if (pattern === '*') return true;
  const wanted = pattern.split('/');
  const parts = name.split('/');
  if (wanted.length !== 2) throw new Error(`no pods: ${pattern}`);
  return wanted.every((part, i) => part === '*' || part === parts[i]);
}
