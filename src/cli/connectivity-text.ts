// Results of probes as a person reads them. Pure.

import type { Connectivity } from '../connectivity/connectivity.ts';
import type { Reach } from '../connectivity/probe.ts';
import { table } from './table.ts';

const headings = {
  failed: 'Do not reach each other',
  mtu: 'Lose large packets',
  denied: 'Denied by policy',
  reached: 'Reach each other',
} as const;

/** @param all list what is as it should be, too */
export function connectivityText(answers: readonly Connectivity[], all: boolean): string {
  const pairs = answers.flatMap((answer) => answer.pairs);
  const count = (state: Reach['state']) => pairs.filter((pair) => pair.state === state).length;
  const sections = (['failed', 'mtu', 'denied', 'reached'] as const)
    .filter((state) => count(state) > 0 && (all || state !== 'reached'))
    .map((state) => `${headings[state]}\n${table(pairs.filter((pair) => pair.state === state).map(row))}`);
  const nodes = answers.map(({ node }) => node).join(', ');
  const summary = [
    `${count('reached')} of ${pairs.length} pairs reach each other`,
    ...(count('denied') > 0 ? [`${count('denied')} are denied by policy`] : []),
    ...(count('mtu') > 0 ? [`${count('mtu')} lose large packets`] : []),
    ...(count('failed') > 0 ? [`${count('failed')} fail`] : []),
  ].join(', ');
  return [...sections, `From ${nodes}: ${summary}.\n`].join('\n');
}

const row = ({ from, to, address, roundTripMs, mtu, reason }: Reach): string[] => [
  from,
  '→',
  to,
  address,
  ...(reason === null ? [`${roundTripMs} ms`, `${mtu} bytes`] : [reason]),
];
