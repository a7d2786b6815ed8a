// Members of JSON objects that are there twice, which parsers overlook (RFC 8259 §4). Pure.

/** A string, or a sign of the structure; numbers and words are of no interest. */
const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],]/gs;

interface Level {
  /** Names met so far; undefined: an array. */
  readonly names: Set<string> | undefined;
  /** The member, or the element, that is being read. */
  at: string | number;
}

/**
 * Path of the first member that its object has already, such as `items[3].spec.ingress`.
 * @param text valid JSON
 */
export function repeatedKey(text: string): string | undefined {
  const levels: Level[] = [];
  let isName = false;
  for (const [sign] of text.matchAll(token)) {
    const level = levels.at(-1);
    if (sign === '{' || sign === '[') {
      levels.push({ names: sign === '{' ? new Set() : undefined, at: 0 });
      isName = sign === '{';
    } else if (sign === '}' || sign === ']') {
      levels.pop();
      isName = false;
    } else if (sign === ',') {
      isName = level?.names !== undefined;
      if (typeof level?.at === 'number') level.at++;
    } else if (isName && level?.names) {
      isName = false;
      const name = JSON.parse(sign) as string;
      level.at = name;
      if (level.names.has(name)) return pathOf(levels);
      level.names.add(name);
    }
  }
  return undefined;
}

const pathOf = (levels: readonly Level[]): string =>
  levels.map(({ at }, i) => (typeof at === 'number' ? `[${at}]` : i === 0 ? at : `.${at}`)).join('');
