/** `lvmsync SNAPSHOT DESTINATION`: to a device of this machine, in this process, or to another host. */

import { EXIT } from '../base/errors.js';
import type { SyncCommand } from '../cli/command.js';
import { selectEngine } from '../device/select-engine.js';
import type { RunContext } from '../run/context.js';
import { openSource } from '../source/open-source.js';
import { checkWatch, reportLateFault } from '../source/quiet-check.js';
import { guardStores } from '../source/store-guard.js';
import { transfer } from './transfer.js';

export async function runSync(command: SyncCommand, context: RunContext): Promise<number> {
  selectEngine(context);
  const source = await openSource(command.source, context);
  const { requireQuiet } = command;
  try {
    checkWatch(source.watch, { requireQuiet, reporter: context.reporter });
    const guard = { source, maxPercent: command.maxCowUse, context };
    await guardStores(guard, (guarded) => transfer(source, command, guarded));
    await reportLateFault(source, context.reporter);
    return EXIT.done;
  } finally {
    await source.close();
  }
}
