/**
 * Results as an SVG: a row for each figure and peer, on a logarithmic axis on which right is better. A dot is the median
 * ratio, the line through it its interval, the small bar what is asked for.
 *
 *     TCP, one stream
 *       kernel VXLAN          ──●──┃
 *       Open vSwitch                    ┃ ──●──
 *     0.25      0.5       1       2       4       8
 */
import { peers } from './peers/all.ts';
import type { BenchResult, Comparison, FigureResult } from './results.ts';
import { at, svg, text } from './svg.ts';

const width = 860;
const left = 250;
const right = 70;
const rowHeight = 20;
const headHeight = 26;
const top = 34;
const ticks = [0.125, 0.25, 0.5, 1, 2, 4, 8, 16];
const [least = 0, most = 0] = [ticks[0], ticks.at(-1)];

const x = (times: number): number => {
  const clamped = Math.min(Math.max(times, least), most);
  return left + (Math.log2(clamped / least) / Math.log2(most / least)) * (width - left - right);
};

export function chart({ figures, machine, pairs }: BenchResult): string {
  const parts: string[] = [];
  let y = top;
  for (const figure of figures) {
    y += headHeight;
    const { name } = figure;
    parts.push(text(8, y - 7, figure.title, 'head'), text(width - 8, y - 7, name, 'name'));
    for (const one of figure.comparisons) {
      parts.push(row(figure, one, y));
      y += rowHeight;
    }
  }
  const bottom = y + 8;
  const grid = ticks.flatMap((tick) => [
    `<line class="${tick === 1 ? 'one' : 'grid'}" x1="${at(x(tick))}" x2="${at(x(tick))}" y1="${top}" y2="${bottom}"/>`,
    text(x(tick), top - 6, `${tick} ×`, 'tick'),
  ]);
  const foot = `${machine.processor}, ${machine.cores} cores, Linux ${machine.kernel}; ${pairs} pairs, median and 95 % interval; right is better`;
  const title = 'Overweft as a multiple of its peers';
  return svg({ width, height: bottom + 24, title }, [...grid, ...parts, text(8, bottom + 16, foot, 'foot')]);
}

function row({ better }: FigureResult, { peer, ratio, target, met }: Comparison, y: number): string {
  const times = (value: number) => (better === 'more' ? value : 1 / value);
  const middle = y + rowHeight / 2;
  const state = met === null ? 'reported' : met ? 'met' : 'missed';
  const ends = ratio.low === null || ratio.high === null ? [] : [times(ratio.low), times(ratio.high)].map(x);
  return [
    text(left - 10, middle + 4, peers[peer].title, 'peer'),
    ...(target === null
      ? []
      : [
          `<line class="target" x1="${at(x(times(target)))}" x2="${at(x(times(target)))}" y1="${middle - 7}" y2="${middle + 7}"/>`,
        ]),
    ...(ends.length === 0
      ? []
      : [
          `<line class="${state}" x1="${at(Math.min(...ends))}" x2="${at(Math.max(...ends))}" y1="${middle}" y2="${middle}"/>`,
        ]),
    `<circle class="${state}" cx="${at(x(times(ratio.median)))}" cy="${middle}" r="4"/>`,
    text(width - 8, middle + 4, `${times(ratio.median).toFixed(2)} ×`, 'value'),
  ].join('');
}
