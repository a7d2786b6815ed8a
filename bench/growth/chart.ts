/**
 * Cost as an SVG: ratio to the smallest size over the size, one colour a curve, and beside it what more cores give.
 *
 *     2 ×  │                 ╌╌●           │ 2 ×        ●
 *          │      ●──●──●──●               │         ╱
 *     1 ×  ├─●──●                          │ 1 × ●
 *          └─1───10───100───1 000─ …       └─────1──────2
 */
import { at, svg, text } from '../../src/bench/svg.ts';
import type { CurveResult, Point } from './measure.ts';
import type { GrowthResult } from './report.ts';

const width = 860;
const [top, bottom] = [54, 330];
const legend = bottom + 44;
const radius = 3;

interface Panel {
  readonly x: (size: number) => number;
  readonly y: (ratio: number) => number;
  readonly parts: readonly string[];
}

const ways = [
  ['egress', 'known, out'],
  ['ingress', 'known, in'],
  ['first', 'first'],
] as const;

export function chart({ curves, cores, machine }: GrowthResult): string {
  const sizes = curves.flatMap(({ points }) => points.map(({ size }) => size));
  const most = Math.max(
    ...curves.flatMap(({ points }) => points.flatMap((point) => ways.map(([way]) => point[way]?.ratio ?? 1))),
  );
  const decades = Array.from({ length: Math.ceil(Math.log10(Math.max(...sizes))) + 1 }, (_, i) => 10 ** i);
  const growth = panel('cost of a packet, × the smallest size', [50, 560], decades, most);
  const counts = cores.map(({ cores: count }) => count);
  const more = panel('packets/s, × one core', [640, 820], counts, Math.max(...counts));
  const rate = cores.map(({ cores: count, times }) => [more.x(count), more.y(times)] as const);
  const foot = `${machine.processor}, ${machine.cores} cores, Linux ${machine.kernel}; in memory, medians of ratios within rounds`;
  return svg({ width, height: legend + 54, title: 'Cost as work grows' }, [
    ...growth.parts,
    ...curves.flatMap((curve) => curveLines(curve, growth)),
    ...more.parts,
    ...line(rate, 'cores'),
    ...curves.map(({ name, title }, i) => text(50 + i * 110, legend, `● ${title}`, `start ${name}`)),
    ...ways.flatMap(([way, title], i) => [
      `<line class="one ${way}" x1="${400 + i * 130}" x2="${430 + i * 130}" y1="${legend - 4}" y2="${legend - 4}"/>`,
      text(436 + i * 130, legend, title, 'start'),
    ]),
    text(8, legend + 34, foot, 'foot'),
  ]);
}

/** Axes: sizes on a logarithmic one, ratios from 0 on the other. */
function panel(
  title: string,
  [left, right]: readonly [number, number],
  sizes: readonly number[],
  most: number,
): Panel {
  const ticks = Array.from({ length: Math.ceil(most + 0.2) + 1 }, (_, i) => i);
  const [least, last, highest] = [sizes[0] ?? 1, sizes.at(-1) ?? 1, ticks.at(-1) ?? 1];
  const x = (size: number) =>
    left + (Math.log(size / least) / (Math.log(last / least) || 1)) * (right - left);
  const y = (ratio: number) => bottom - (ratio / highest) * (bottom - top);
  const parts = [
    text(left, top - 20, title, 'head'),
    ...ticks.flatMap((tick) => [
      `<line class="${tick === 1 ? 'one' : 'grid'}" x1="${left}" x2="${right}" y1="${at(y(tick))}" y2="${at(y(tick))}"/>`,
      text(left - 6, Math.round(y(tick)) + 4, `${tick} ×`, 'name'),
    ]),
    ...sizes.map((size) => text(x(size), bottom + 18, size.toLocaleString('fr'), 'tick')),
  ];
  return { x, y, parts };
}

const curveLines = ({ name, points }: CurveResult, { x, y }: Panel): string[] =>
  ways.flatMap(([way]) =>
    line(
      points.flatMap((point: Point) => {
        const cost = point[way];
        return cost ? [[x(point.size), y(cost.ratio)] as const] : [];
      }),
      `${name} ${way}`,
    ),
  );

function line(points: readonly (readonly [number, number])[], kind: string): string[] {
  if (points.length === 0) return [];
  const path = points.map(([x, y]) => `${at(x)},${at(y)}`).join(' ');
  return [
    `<polyline class="${kind}" points="${path}"/>`,
    ...points.map(([x, y]) => `<circle class="${kind}" cx="${at(x)}" cy="${at(y)}" r="${radius}"/>`),
  ];
}
