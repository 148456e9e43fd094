/** After a turn: has what no `--keep` rule keeps removed, and says what came of it. */

import { messageOf } from '../base/errno.js';
import { localTime } from '../base/local-time.js';
import { counted, humanSize } from '../base/text.js';
import type { ChainTurn } from '../chain/turn.js';
import type { Reporter } from '../run/reporter.js';

/** Never rejects: the point is reached, whatever becomes of the oldest snapbacks. */
export async function pruneChain(
  turn: Pick<ChainTurn, 'prune'>,
  reporter: Reporter,
  now = Date.now(),
): Promise<void> {
  try {
    const { removed, ahead, leftover } = await turn.prune(now);
    if (removed > 0) reporter.verbose(`removed ${counted(removed, 'old snapback')}`);
    if (leftover !== undefined && leftover.files.length > 0) {
      const { files, bytes } = leftover;
      const them = files.length === 1 ? 'it' : 'them';
      reporter.info(
        `${counted(files.length, 'file')} in the chain directory (${humanSize(bytes)}) can be removed: no restore point needs ${them}. "lvmsync chain" lists ${them}, --keep removes ${them}`,
      );
    }
    if (ahead === undefined) return;
    reporter.warn(
      `the new restore point is dated ${localTime(ahead.time)}, but the clock here shows ${localTime(now)}: no snapback is removed for its age before that time`,
    );
  } catch (error) {
    const why = messageOf(error);
    reporter.warn(`the oldest snapbacks could not be removed: ${why}`);
  }
}
