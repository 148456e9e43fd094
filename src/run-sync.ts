/** `lvmsync SNAPSHOT DESTINATION`: to a device of this machine, in this process, or to another host. */

import type { SyncCommand } from './commands.js';
import { EXIT } from './errors.js';
import { openSource } from './open-source.js';
import type { RunContext } from './run-context.js';
import { selectEngine } from './select-engine.js';
import { checkWatch, reportLateFault } from './source-report.js';
import { guardStores } from './store-use.js';
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
