/** The part of docs/performance.md that the benchmark writes: all between two comments. */

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const DOCUMENT = fileURLToPath(new URL('../../docs/performance.md', import.meta.url));
const BEGIN = '<!-- written by npm run bench -- --full -->\n';
const END = '<!-- end of what is written -->\n';

/** Throws where the document has no such part. */
export function writeIntoDocument(text: string): void {
  const before = readFileSync(DOCUMENT, 'utf8');
  const begin = before.indexOf(BEGIN) + BEGIN.length;
  const end = before.indexOf(END);
  if (begin < BEGIN.length || end < begin) throw new Error(`${DOCUMENT}: no place for the tables`);
  writeFileSync(DOCUMENT, `${before.slice(0, begin)}\n${text}\n\n${before.slice(end)}`);
}
