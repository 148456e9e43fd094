/** Small reads of `/proc` and `/sys`, where a thing may vanish, or be forbidden, between two reads. */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** The whole text; undefined where it is not there or may not be read. */
export function readText(path: string): string | undefined {
  return attempt(() => readFileSync(path, 'utf8'));
}

/** As `readText`, without the newline at the end. */
export function readLine(path: string): string | undefined {
  return readText(path)?.replace(/\n$/, '');
}

/** The names in a directory, sorted; none where it is not there or may not be read. */
export function listNames(path: string): string[] {
  return attempt(() => readdirSync(path).sort()) ?? [];
}

export function readLink(path: string): string | undefined {
  return attempt(() => readlinkSync(path));
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
