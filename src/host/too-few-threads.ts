/** The meaning of a failure of the addon to start the threads that do its work. */

import { LvmsyncError } from '../base/errors.js';

/** The failure as a person can act on it; any other is returned as it is. */
export function explainThreads(error: unknown): unknown {
  if (!(error instanceof Error) || !('syscall' in error)) return error;
  if (error.syscall !== 'pthread_create' || 'offset' in error) return error;
  return new LvmsyncError('usage', `too few threads can be started (${error.message})`, {
    hint: 'A limit on processes counts threads, too: TasksMax= of a systemd unit, pids.max of a container, ulimit -u.',
    cause: error,
  });
}
