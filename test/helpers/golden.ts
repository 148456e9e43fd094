/** Reads the recorded images and texts of test/golden. */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

export function goldenPath(name: string): string {
  return fileURLToPath(new URL(`../../../test/golden/${name}`, import.meta.url));
}

/** The content of `NAME.gz`, unpacked. */
export function readGoldenImage(name: string): Buffer {
  return gunzipSync(readFileSync(goldenPath(`${name}.gz`)));
}
