/** `lvmsync SNAPSHOT DESTINATION`: to a device of this machine, in this process, or to another host. */

import { SlabPool } from './block-device.js';
import { fitSize, openDestination } from './destination.js';
import { deviceAttributes } from './device-identity.js';
import { EXIT } from './errors.js';
import { BATCH_LIMITS, slabSizeFor } from './extent.js';
import { LOCAL_DEPTH, localSync } from './local-sync.js';
import type { SyncCommand } from './options.js';
import {
  describeFailure,
  interrupted,
  type RunContext,
  selectEngine,
  whatWasLeft,
} from './run-context.js';
import { Snapback } from './snapback.js';
import { openSource, type Source } from './source.js';
import { WriteStage } from './write-stage.js';

export async function runSync(command: SyncCommand, context: RunContext): Promise<number> {
  selectEngine(context);
  const source = await openSource(command.source, context.reporter);
  try {
    if (command.destination.host === undefined) await syncFrom(source, command, context);
    else await (await import('./run-remote.js')).sendTo(source, command, context);
    const fault = await source.findLateFault();
    if (fault !== undefined) {
      context.reporter.warn(
        `${fault}. What was sent is right, but a next run needs a new snapshot`,
      );
    }
    return EXIT.done;
  } finally {
    await source.close();
  }
}

async function syncFrom(source: Source, command: SyncCommand, context: RunContext): Promise<void> {
  const { reporter, signal } = context;
  const { path } = command.destination;
  const { members } = source;
  const request = { path, members, force: command.force, command: context.command };
  const destination = await openDestination(request, reporter);
  try {
    const { device } = destination;
    await fitSize(device, source.device.size, { allowSmaller: command.allowSmaller, reporter });
    const extents = source.extents.clippedTo(device.size);
    const snapback = await createSnapback(command, device);
    const pool = new SlabPool(2 * LOCAL_DEPTH, slabSizeFor(BATCH_LIMITS));
    const stage = new WriteStage(device, snapback, pool);
    const undertaking = {
      stage,
      destination: path,
      totalBytes: extents.totalBytes,
      snapback: snapback?.path,
    };
    const onProgress = (doneBytes: number): void =>
      reporter.progress({ activity: 'Sending', doneBytes, totalBytes: extents.totalBytes });
    const started = performance.now();
    try {
      await localSync({ source: source.device, extents, stage, pool, signal, onProgress });
      if (signal.aborted) await device.sync();
      else await stage.finish();
    } catch (error) {
      throw describeFailure(error, whatWasLeft(undertaking));
    }
    if (signal.aborted) throw interrupted(signal, whatWasLeft(undertaking));
    const seconds = (performance.now() - started) / 1000;
    reporter.transferred({ bytes: stage.writtenBytes, seconds, sourceSize: source.device.size });
  } finally {
    await destination.close();
  }
}

async function createSnapback(
  { snapback }: SyncCommand,
  device: Parameters<typeof deviceAttributes>[0],
): Promise<Snapback | undefined> {
  if (snapback === undefined) return undefined;
  const facts = { deviceSize: device.size, attributes: await deviceAttributes(device) };
  return Snapback.create({ ...snapback, facts, sorted: false });
}
