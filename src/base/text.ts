/** Text for people: sizes, durations, and foreign text made harmless. Pure. */

const SIZE_UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const;

/** `512 B`, `1.5 MiB`: binary units, one decimal from KiB upwards. */
export function humanSize(bytes: number): string {
  let size = bytes;
  let unit = 'B';
  for (const larger of SIZE_UNITS) {
    // 1023.95 would be printed as "1024.0": step up before that.
    if (size < 1023.95) break;
    size /= 1024;
    unit = larger;
  }
  return unit === 'B' ? `${Math.round(size)} B` : `${size.toFixed(1)} ${unit}`;
}

/** For a comparison: `16.0 MiB (16777216 bytes)`. */
export function exactSize(bytes: number): string {
  return bytes < 1024 ? counted(bytes, 'byte') : `${humanSize(bytes)} (${bytes} bytes)`;
}

/** `0:07`, `12:34`, `1:02:03`: hours only where there are any. */
export function humanDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const tail = String(whole % 60).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${tail}` : `${minutes}:${tail}`;
}

/**
 * Shows foreign input without letting it act on a terminal or a log. At most `max` units are shown
 * (bytes of bytes, characters of a string), then `...`. Bytes outside printable ASCII become `\xNN`;
 * in a string only what can move the cursor or change the reading order is escaped.
 */
export function escapeText(input: Uint8Array | string, max = Number.POSITIVE_INFINITY): string {
  return typeof input === 'string' ? escapeString(input, max) : escapeBytes(input, max);
}

function escapeBytes(bytes: Uint8Array, max: number): string {
  let shown = '';
  for (const byte of bytes.subarray(0, Math.min(max, bytes.length))) {
    const printable = byte >= 0x20 && byte <= 0x7e && byte !== 0x5c;
    shown += printable ? String.fromCharCode(byte) : escapeCode(byte);
  }
  return bytes.length > max ? `${shown}...` : shown;
}

/** C0, DEL and C1 controls; line separators; bidirectional and invisible marks; lone surrogates. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu;

function escapeString(text: string, max: number): string {
  const characters = Number.isFinite(max) ? [...text] : undefined;
  const cut = characters !== undefined && characters.length > max;
  const kept = cut ? characters.slice(0, max).join('') : text;
  const shown = kept.replace(UNSAFE, (character) => escapeCode(character.codePointAt(0) ?? 0));
  return cut ? `${shown}...` : shown;
}

const NAMED_ESCAPES = new Map([
  [0x09, '\\t'],
  [0x0a, '\\n'],
  [0x0d, '\\r'],
  [0x5c, '\\\\'],
]);

function escapeCode(code: number): string {
  const named = NAMED_ESCAPES.get(code);
  if (named !== undefined) return named;
  return code <= 0xff ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}

/** `1 step`, `2 steps`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
