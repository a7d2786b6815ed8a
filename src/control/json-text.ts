// What the platform's JSON parser leaves out: several documents in a text, and members that are there twice. Pure.

/** A string, or a sign of the structure; numbers and words are of no interest. */
const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],]/gs;

interface Level {
  /** Names met so far; undefined: an array. */
  readonly names: Set<string> | undefined;
  /** The member, or the element, that is being read. */
  at: string | number;
}

/**
 * The objects and arrays that stand one behind the other, as kubectl writes and reads them.
 * @param text one of them, or what is no JSON as a whole
 */
export function jsonDocuments(text: string): string[] {
  const documents: string[] = [];
  let start = 0;
  let depth = 0;
  for (const { 0: sign, index } of text.matchAll(token)) {
    if (sign === '{' || sign === '[') depth++;
    else if ((sign === '}' || sign === ']') && --depth === 0) {
      documents.push(text.slice(start, index + 1));
      start = index + 1;
    }
  }
  return text.slice(start).trim() === '' ? documents : [...documents, text.slice(start)];
}

/**
 * Path of the first member that its object has already (RFC 8259 §4), such as `items[3].spec.ingress`.
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
