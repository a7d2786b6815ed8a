// What a person, or a program, reads of a comparison.
import type { DirectionVerdict } from '../why.ts';
import type { Change, ChangedFlow, Summary } from './diff.ts';

const protocols: Readonly<Record<number, string>> = {
  1: 'ICMP',
  6: 'TCP',
  17: 'UDP',
  58: 'ICMPv6',
  132: 'SCTP',
};
const titles: Readonly<Record<Change, string>> = {
  'now-denied': 'now denied',
  'now-allowed': 'now allowed',
  'other-rule': 'other rule decides',
};

const protocolName = (protocol: number): string => protocols[protocol] ?? String(protocol);

/** One flow as an object to be printed; docs/policy.md explains the keys. */
export function flowJson({
  change,
  protocol,
  from,
  to,
  port,
  packets,
  bytes,
  first,
  ...worlds
}: ChangedFlow) {
  const end = ({ address, pod }: ChangedFlow['from']) => ({ address: address.text, pod: pod?.key ?? null });
  return {
    ...{
      change,
      protocol: protocolName(protocol),
      from: end(from),
      to: end(to),
      port,
      packets,
      bytes,
      first,
    },
    ...{ old: worlds.old, new: worlds.new },
  };
}

/** The flows under what changes them, in lines. */
export function* flowLines(flows: readonly ChangedFlow[]): Generator<string> {
  let change: Change | undefined;
  let decisions: string | undefined;
  for (const flow of flows) {
    if (flow.change !== change) {
      change = flow.change;
      decisions = undefined;
      yield titles[change];
    }
    const next = decisionLines(flow).join('\n');
    if (next !== decisions) {
      decisions = next;
      yield decisions;
    }
    yield flowLine(flow);
  }
}

/** A line for each direction in which another decision is made. */
function decisionLines({ old, new: then }: ChangedFlow): string[] {
  return (['egress', 'ingress'] as const).flatMap((direction) => {
    const [was, is] = [decisionText(old[direction]), decisionText(then[direction])];
    return was === is ? [] : [`  ${direction}: ${was} → ${is}`];
  });
}

function decisionText({ verdict, policies, rule, reason, name, tier }: DirectionVerdict): string {
  const called = name === undefined ? '' : ` "${name}"`;
  const where = tier === undefined ? '' : `, ${tier} tier`;
  if (reason === 'rule') return `${verdict} (rule ${rule}${called} of ${policies.join(', ')}${where})`;
  return `${verdict} (${policies.length === 0 ? reason : `${reason}: ${policies.join(', ')}`})`;
}

function flowLine({ protocol, from, to, port, packets, bytes, first }: ChangedFlow): string {
  const target = port === null ? nameOf(to) : `${isBare(to) ? `[${nameOf(to)}]` : nameOf(to)}:${port}`;
  const sizes = `${counted(packets, 'packet')}, ${counted(bytes, 'byte')}`;
  return `    ${protocolName(protocol)} ${nameOf(from)} → ${target}  ${sizes}, first ${first.file}:${first.n}`;
}

const nameOf = ({ pod, address }: ChangedFlow['to']): string => pod?.key ?? address.text;
const isBare = ({ pod, address }: ChangedFlow['to']): boolean => !pod && address.family === 6;

export function summaryText({
  packets,
  unchanged,
  changed,
  notJudged,
  unlisted,
  forgotten,
}: Summary): string {
  const reasons = Object.entries(notJudged).map(([reason, count]) => `${reason} ${count}`);
  const other = changed['other-rule'];
  const unjudged = Object.values(notJudged).reduce((sum, count) => sum + count, 0);
  const parts = [
    `${changed['now-denied']} now denied`,
    `${changed['now-allowed']} now allowed`,
    `${unchanged + other} as before${other > 0 ? ` (${other} by another rule)` : ''}`,
    `${unjudged} not judged${reasons.length > 0 ? ` (${reasons.join(', ')})` : ''}`,
  ];
  return [
    `${counted(packets, 'packet')}: ${parts.join(', ')}`,
    ...(unlisted > 0 ? [`${counted(unlisted, 'changed packet')} of further flows not listed`] : []),
    ...(forgotten > 0
      ? [
          `${counted(forgotten, 'time')} no room to follow a connection: what came of it later was taken to open it anew`,
        ]
      : []),
  ].join('\n');
}

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
