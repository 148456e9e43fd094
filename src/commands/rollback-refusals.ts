/** What `lvmsync rollback` says where it has no chain, or none that goes back so far. */

import { LvmsyncError, UNTOUCHED, withContext } from '../base/errors.js';
import { typedPath } from '../base/shell-words.js';
import type { Link } from '../chain/link.js';
import { orderChain } from '../chain/order.js';
import { type ChainRecord, readRecord } from '../chain/record.js';
import {
  OutOfReach,
  planRollback,
  type RollbackPlan,
  type RollbackTarget,
} from '../chain/rollback-plan.js';

/** What stands for a DIR that was left out. */
const HERE = '.';

/** Throws (destinationUnfit) where DIR was forgotten: whatever else is wrong with the current directory does not matter. */
export function requireNamed(directory: string): void {
  if (directory === HERE && readRecord(directory) === undefined) throw noChain(directory);
}

export function noChain(directory: string): LvmsyncError {
  const [what, hint] =
    directory === HERE
      ? [
          'the current directory (no DIR was given) does not hold a chain',
          'Type the directory of the restore points after DESTINATION: "lvmsync help rollback" shows examples.',
        ]
      : [
          `${directory}: it does not hold a chain`,
          'Check its name: the restore points are where "lvmsync cycle" has its --snapback, with a file chain.json.',
        ];
  return new LvmsyncError('destinationUnfit', what, { ...UNTOUCHED, hint });
}

interface Wish {
  readonly record: ChainRecord;
  readonly links: readonly Link[];
  readonly target: RollbackTarget;
}

/** Throws as planRollback does. */
export function planIn(directory: string, { record, links, target }: Wish): RollbackPlan<Link> {
  try {
    return planRollback(record, orderChain(record, links), target);
  } catch (error) {
    if (!(error instanceof OutOfReach)) throw error;
    const hint = `"lvmsync chain ${typedPath(directory, undefined)}" lists the restore points.`;
    throw withContext(error, { hint });
  }
}
