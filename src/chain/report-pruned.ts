/** After a turn: has what no `--keep` rule keeps removed, and says what came of it. */

import { messageOf } from '../base/errno.js';
import { localTime } from '../base/local-time.js';
import { humanSize } from '../base/text.js';
import type { Reporter } from '../run/reporter.js';
import type { ChainTurn } from './turn.js';

/** Never rejects: the point is reached, whatever becomes of the oldest snapbacks. */
export async function pruneChain(
  turn: Pick<ChainTurn, 'prune'>,
  reporter: Reporter,
  now = Date.now(),
): Promise<void> {
  try {
    const { removed, ahead, leftover } = await turn.prune(now);
    if (removed > 0) reporter.verbose(`snapbacks that are no longer kept: ${removed} removed`);
    if (leftover !== undefined && leftover.files.length > 0) {
      const { files, bytes } = leftover;
      reporter.info(
        `${files.length} files of the chain (${humanSize(bytes)}) are of no more use, nothing goes back to them: "lvmsync chain" names them, --keep removes them`,
      );
    }
    if (ahead === undefined) return;
    reporter.warn(
      `the new point is of ${localTime(ahead.time)}, and the clock here says ${localTime(now)}: until then no snapback is removed for its age`,
    );
  } catch (error) {
    const why = messageOf(error);
    reporter.warn(`the oldest snapbacks could not be removed: ${why}`);
  }
}
