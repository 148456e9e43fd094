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

export function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string';
}

export function areTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

/** Braces of a line that are tried. */
const MOST_TRIES = 64;

/**
 * The object at the end of a line that a peer printed, if it is the one that is looked for: what a login
 * prints may stand before it, even braces.
 */
export function objectIn(line: string, isIt: (fields: Fields) => boolean): Fields | undefined {
  let at = line.indexOf('{"');
  for (let tries = 0; at >= 0 && tries < MOST_TRIES; tries++) {
    const fields = parseObject(line.slice(at));
    if (fields !== undefined && isIt(fields)) return fields;
    at = line.indexOf('{"', at + 1);
  }
  return undefined;
}

/** Undefined unless it is JSON, and an object. */
export function parseObject(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
