/** Through what blocks are read and written. */

import { native } from '../host/native.js';
import type { RunContext } from '../run/context.js';

export function selectEngine({ engine, reporter }: Pick<RunContext, 'engine' | 'reporter'>): void {
  const { name, refused } = native.selectEngine(engine);
  const why = refused === null ? '' : ` (io_uring is refused: ${refused})`;
  reporter.verbose(`I/O through ${name}${why}`);
}
