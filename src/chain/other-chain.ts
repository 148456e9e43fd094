/** A chain that is to begin on the copy of another one, whose restore points nobody could use then. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { typedPath } from '../base/shell-words.js';
import { chainOf } from './copy-entry.js';
import { isSameDirectory } from './copy-verdict.js';
import { RECORD_NAME } from './record.js';
import type { CopyEntry } from './registry-entry.js';

/** Undefined where the copy, whose entry it is, is of no other chain, or of one that has no record any more. */
export function otherChain(
  entry: CopyEntry | undefined,
  directory: string,
): { readonly why: string; readonly remedy: string } | undefined {
  const chain = chainOf(entry);
  if (chain === undefined || isSameDirectory(chain, directory)) return undefined;
  if (!existsSync(join(chain, RECORD_NAME))) return undefined;
  return {
    why: `it is the copy of the chain in ${chain}`,
    remedy: `Use --snapback ${typedPath(chain, undefined)}. A new history in another directory needs --init --force; the restore points in ${chain} can then no longer be used.`,
  };
}

/** Throws (destinationUnfit). */
export function refuseOtherChain(
  { entry, path }: { readonly entry: CopyEntry | undefined; readonly path: string },
  directory: string,
): void {
  const other = otherChain(entry, directory);
  if (other === undefined) return;
  const context = { ...UNTOUCHED, hint: other.remedy };
  throw new LvmsyncError('destinationUnfit', `${path}: ${other.why}`, context);
}
