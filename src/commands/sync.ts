/** `lvmsync SNAPSHOT DESTINATION`: to a device of this machine, in this process, or to another host. */

import { EXIT } from '../base/errors.js';
import type { SyncCommand } from '../cli/command.js';
import type { RunContext } from '../run/context.js';
import { withCheckedSource } from './checked-source.js';
import { transfer } from './transfer.js';

export async function runSync(command: SyncCommand, context: RunContext): Promise<number> {
  await withCheckedSource(command, context, {
    work: (source, guarded) => transfer(source, command, guarded),
  });
  return EXIT.done;
}
