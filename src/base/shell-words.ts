/**
 * The two places where a string and a list of words meet: `--rsh` is split into an argv, and the
 * words for a remote login shell are quoted. No word is ever expanded.
 */

import { LvmsyncError } from './errors.js';
import { escapeText } from './text.js';

const BLANK = /[ \t\n]/;

/**
 * Splits a command as `sh` splits one into words: blanks separate, single quotes keep everything,
 * double quotes keep all but a backslash before `"`, `\`, `$`, a backquote or a newline, a backslash
 * outside quotes keeps the next character. `$`, `*`, `;`, `#` and the like are ordinary characters.
 * Throws (usage) where a quote is not closed, a backslash ends the text, or no program is named.
 */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let position = 0;
  while (position < text.length) {
    if (BLANK.test(text.charAt(position))) {
      position += 1;
      continue;
    }
    const [word, end] = readWord(text, position);
    if (word !== undefined) words.push(word);
    position = end;
  }
  if (words.length === 0 || words[0] === '') throw refusal(text, 'it does not name a program');
  return words;
}

/** The word that starts at `start` and where it ends; none where only a line continuation was. */
function readWord(text: string, start: number): [word: string | undefined, end: number] {
  let word: string | undefined;
  let position = start;
  while (position < text.length && !BLANK.test(text.charAt(position))) {
    const [piece, end] = readPiece(text, position);
    if (piece !== undefined) word = (word ?? '') + piece;
    position = end;
  }
  return [word, position];
}

function readPiece(text: string, start: number): [piece: string | undefined, end: number] {
  const character = text.charAt(start);
  if (character === "'") return readSingleQuoted(text, start);
  if (character === '"') return readDoubleQuoted(text, start);
  if (character !== '\\') return [character, start + 1];
  if (start + 1 === text.length) throw refusal(text, 'it ends in a backslash');
  const escaped = text.charAt(start + 1);
  return [escaped === '\n' ? undefined : escaped, start + 2];
}

function readSingleQuoted(text: string, start: number): [piece: string, end: number] {
  const close = text.indexOf("'", start + 1);
  if (close < 0) throw unclosed(text, start);
  return [text.slice(start + 1, close), close + 1];
}

function readDoubleQuoted(text: string, start: number): [piece: string, end: number] {
  let piece = '';
  for (let position = start + 1; position < text.length; position += 1) {
    const character = text.charAt(position);
    if (character === '"') return [piece, position + 1];
    const next = text.charAt(position + 1);
    const escapes = character === '\\' && next !== '' && '"\\$`\n'.includes(next);
    if (!escapes) piece += character;
    else {
      if (next !== '\n') piece += next;
      position += 1;
    }
  }
  throw unclosed(text, start);
}

function unclosed(text: string, position: number): LvmsyncError {
  const quote = text.charAt(position);
  return refusal(text, `the ${quote} at character ${position + 1} is never closed`);
}

function refusal(text: string, reason: string): LvmsyncError {
  return new LvmsyncError('usage', `command "${escapeText(text, 80)}": ${reason}`);
}

/** Characters without a meaning to any shell, wherever they stand in an argument; a "=" only behind an option. */
const PLAIN = /^(?:--[a-z-]+=)?[A-Za-z0-9_./:@,+-]+$/;

/** Single quotes do not cover these everywhere: fish reads `\`, csh reads `!` inside them. */
const ESCAPED_OUTSIDE_QUOTES = /(['\\!])/;

/**
 * Quotes one argument for a login shell that may be sh, dash, bash, zsh, fish or csh. Throws (usage)
 * for what csh cannot carry at all: a newline; and for a NUL, which no argument can hold.
 */
export function quoteWord(word: string): string {
  if (/[\n\0]/.test(word)) {
    const shown = escapeText(word, 80);
    throw new LvmsyncError('usage', `"${shown}": a name with a newline cannot be sent to a shell`);
  }
  if (PLAIN.test(word)) return word;
  if (word === '') return "''";
  return word.split(ESCAPED_OUTSIDE_QUOTES).map(quotePiece).join('');
}

function quotePiece(piece: string): string {
  if (piece === '') return '';
  return ESCAPED_OUTSIDE_QUOTES.test(piece) ? `\\${piece}` : `'${piece}'`;
}

/**
 * As a person would type a name of this machine, or of the host that is named, into a shell there: for
 * messages. Never throws: what quoteWord refuses is written as bash, zsh and ksh read it.
 */
export function typedPath(path: string, host: string | undefined): string {
  if (/[\n\0]/.test(path)) {
    const escaped = path.replace(/[\\']/g, '\\$&').replaceAll('\n', '\\n');
    return `$'${escaped.replaceAll('\0', '\\0')}'`;
  }
  if (path.startsWith('-')) return `./${quoteWord(path)}`;
  return host === undefined ? quoteWord(path) : quotePath(path);
}

/** As quoteWord, but a leading `~/` stays bare, so that it means the remote user's home. */
export function quotePath(path: string): string {
  if (!path.startsWith('~/')) return quoteWord(path);
  return path === '~/' ? path : `~/${quoteWord(path.slice(2))}`;
}
