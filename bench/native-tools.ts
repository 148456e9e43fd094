/** The small programs of this folder that are not JavaScript, built when they are older than their source. */

import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where the sources are: dist/bench/.. is dist. */
const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const FLAGS = ['-std=c++20', '-O2', '-Wall', '-Wextra', '-Werror'];

/** The path of the program. */
export function builtTool(name: 'limit_copy' | 'measured' | 'throttled'): string {
  const source = join(ROOT, 'bench', `${name}.cc`);
  const product = join(ROOT, 'dist', 'bench', name);
  if (modified(product) < modified(source)) {
    mkdirSync(dirname(product), { recursive: true });
    execFileSync('g++', [...FLAGS, source, '-o', product, '-l:liburing.a']);
  }
  return product;
}

/** Milliseconds; 0 for a file that is not there. */
function modified(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
