/** The program of an earlier commit, built from git's history: the other side of half-upgraded fleets. */

import { fileURLToPath } from 'node:url';
import { CLI, runTool } from './cli.js';

const COMMIT = '4bc2114';
const BUILD = fileURLToPath(new URL('../../../../scripts/build-old', import.meta.url));
const NOT_IN_HISTORY = 3;

export interface Program {
  readonly name: string;
  /** A script for Node. */
  readonly path: string;
}

export const TODAY: Program = { name: "today's", path: CLI };

/**
 * Builds it the first time, which takes a minute. `skip` says why it cannot be had: then `program` is
 * today's.
 */
export function oldProgram(): { readonly program: Program; readonly skip: string | false } {
  const { status, stdout, stderr } = runTool([BUILD, COMMIT]);
  if (status === 0)
    return { program: { name: 'the old', path: String(stdout).trim() }, skip: false };
  if (status === NOT_IN_HISTORY) return { program: TODAY, skip: stderr.trim() };
  throw new Error(`${BUILD} ${COMMIT}:\n${stderr}`);
}
