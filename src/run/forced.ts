/** What --force overrides is said all the same. */

import { InterruptedError, LvmsyncError } from '../base/errors.js';
import type { Reporter } from './reporter.js';

/** Throws what the check throws; with `force` a refusal is a warning instead. */
export async function checkUnlessForced(
  { force, reporter }: { readonly force: boolean; readonly reporter: Pick<Reporter, 'warn'> },
  check: () => unknown,
): Promise<void> {
  try {
    await check();
  } catch (error) {
    const isRefusal = error instanceof LvmsyncError && !(error instanceof InterruptedError);
    if (!force || !isRefusal) throw error;
    reporter.warn(`--force overrides: ${error.message}`);
  }
}
