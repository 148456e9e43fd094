/** No question of a status waits without an end: LVM may hang, and so may the file system of a copy. */

import { LvmsyncError } from '../../base/errors.js';
import { interrupted } from '../../run/interruption.js';

export interface Patience {
  readonly limitSeconds: number;
  /** Of the run. */
  readonly signal: AbortSignal;
}

/**
 * Throws (sourceUnfit) when the answer is late, and what the signal of the run says. What was asked goes on then; no
 * one waits for it.
 */
export async function within<T>(
  answer: Promise<T>,
  { limitSeconds, signal }: Patience,
  late: { readonly subject: string; readonly hint: string },
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let stop: (() => void) | undefined;
  const ended = new Promise<never>((_, reject) => {
    const { subject, hint } = late;
    const message = `${subject}: no answer for ${limitSeconds} s`;
    const error = new LvmsyncError('sourceUnfit', message, { hint });
    timer = setTimeout(() => reject(error), limitSeconds * 1000);
    stop = () => reject(interrupted(signal));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  // It may fail after nobody waits for it any more.
  answer.catch(() => undefined);
  try {
    return await Promise.race([answer, ended]);
  } finally {
    clearTimeout(timer);
    if (stop !== undefined) signal.removeEventListener('abort', stop);
  }
}
