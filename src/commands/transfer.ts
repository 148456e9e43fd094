/** Sends the changes of a source to a destination here or on a remote host. */

import type { SyncCommand } from '../cli/command.js';
import type { RunContext } from '../run/context.js';
import type { Source } from '../source/source.js';
import { copyHere } from './local-copy.js';

/** Moves what the source names; resolves when all of it is written durably. */
export async function transfer(
  source: Source,
  command: SyncCommand,
  context: RunContext,
): Promise<void> {
  if (command.dryRun) return runDry(source, command, context);
  if (command.destination.host === undefined) await copyHere(source, command, context);
  else await send(source, command, context);
}

async function runDry(source: Source, command: SyncCommand, context: RunContext): Promise<void> {
  const { reportSync } = await import('./dry-run.js');
  await reportSync(source, command, context);
}

async function send(source: Source, command: SyncCommand, context: RunContext): Promise<void> {
  const { sendTo } = await import('../remote/send.js');
  if (command.remote.helper === undefined) return sendTo(source, command, context);
  const { withHelper } = await import('../remote/push-helper.js');
  return withHelper(command, context, (served) => sendTo(source, served, context));
}
