/** JSON: an object that others wrote, of unknown fields, or nothing; and ours, as a line. Pure. */

export type Fields = Readonly<Record<string, unknown>>;

/** As a line, in which nothing can act on a terminal. */
export function formatObject(value: object): string {
  return `${JSON.stringify(value).replace(UNSAFE, escapeUnits)}\n`;
}

/** As escapeText has them, but for what JSON escapes itself. */
const UNSAFE = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

function escapeUnits(character: string): string {
  return Array.from({ length: character.length }, (_, i) => {
    return `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`;
  }).join('');
}

export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The last object in an answer of whole lines, which has such a field: what a login prints may stand before
 * it, even in the same line.
 */
export function findObject(text: string, isIt: (fields: Fields) => boolean): Fields | undefined {
  for (const line of text.split('\n').reverse()) {
    const begin = line.indexOf('{');
    const fields = begin < 0 ? undefined : parseObject(line.slice(begin));
    if (fields !== undefined && isIt(fields)) return fields;
  }
  return undefined;
}

/** Undefined for what is no JSON, and for JSON that is no object. */
export function parseObject(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
