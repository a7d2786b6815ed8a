// What all charts have in common.

/** A coordinate. */
export const at = (coordinate: number): string => coordinate.toFixed(1);

/** @param kind class, of which `style` knows how it looks */
export const text = (left: number, y: number, content: string, kind: string): string =>
  `<text class="${kind}" x="${at(left)}" y="${y}">${content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</text>`;

/** A whole image, on light and on dark ground. */
export const svg = (
  { width, height, title }: { readonly width: number; readonly height: number; readonly title: string },
  parts: readonly string[],
): string =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif">`,
    `<title>${title}</title>`,
    `<style>${style}</style>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');

const style = `
svg { background: #fff } text { font-size: 12px; fill: #1f2328 }
.head { font-weight: 600 } .name, .tick, .foot { fill: #59636e; font-size: 11px }
.name, .peer, .value { text-anchor: end } .tick { text-anchor: middle }
line { stroke-width: 2 } .grid { stroke: #d1d9e0; stroke-width: 1 } .one { stroke: #59636e; stroke-width: 1 }
.target { stroke: #1f2328; stroke-width: 3 }
line.met { stroke: #1a7f37 } circle.met { fill: #1a7f37 } line.missed { stroke: #bc4c00 } circle.missed { fill: #bc4c00 }
line.reported { stroke: #57606a } circle.reported { fill: #57606a }
polyline { fill: none; stroke-width: 2 } .start { text-anchor: start }
.flows { stroke: #0969da } circle.flows, text.flows { fill: #0969da } .endpoints { stroke: #8250df } circle.endpoints, text.endpoints { fill: #8250df }
.tunnels { stroke: #bf3989 } circle.tunnels, text.tunnels { fill: #bf3989 } .cores { stroke: #1a7f37 } circle.cores, text.cores { fill: #1a7f37 }
text.flows, text.endpoints, text.tunnels, text.cores { stroke: none }
.first { stroke-dasharray: 2 4 } .ingress { stroke-dasharray: 7 4 } circle.first, circle.ingress { stroke-dasharray: none }
@media (prefers-color-scheme: dark) {
svg { background: #0d1117 } text { fill: #f0f6fc } .name, .tick, .foot { fill: #9198a1 }
.grid { stroke: #3d444d } .one { stroke: #9198a1 } .target { stroke: #f0f6fc }
}`;
