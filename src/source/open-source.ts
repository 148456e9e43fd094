/** From what was asked for to an open source. */

import { LvmsyncError, UNTOUCHED, withContext } from '../base/errors.js';
import { describeSnapshot, findVolume } from '../lvm/find-volume.js';
import type { RunContext } from '../run/context.js';
import { interrupted } from '../run/interruption.js';
import { openOffline } from './offline-source.js';
import type { SourceRequest } from './request.js';
import type { Source } from './source.js';
import { openThick } from './thick-source.js';
import { findPair, openThin } from './thin-source.js';

export function openSource(request: SourceRequest, context: RunContext): Promise<Source> {
  return untouched(context, () => open(request, context));
}

/** Does the work; a failure of it says that nothing was written: no run writes before it has its source. */
export async function untouched<T>(
  { signal }: Pick<RunContext, 'signal'>,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // A tool that the signal ended has not failed.
    if (signal.aborted) throw interrupted(signal, UNTOUCHED);
    const isSilent = error instanceof LvmsyncError && error.state === undefined;
    throw isSilent ? withContext(error, UNTOUCHED) : error;
  }
}

async function open(request: SourceRequest, context: RunContext): Promise<Source> {
  if (request.kind === 'cowStore') return openOffline(request, context.reporter);
  const { since } = request;
  const found = await findVolume(request.snapshot);
  const volume = await describeSnapshot(found.volume, found.group);
  if (volume.kind === 'thin') {
    const pair = await findPair(volume, found.group, since);
    return openThin(pair, request, context);
  }
  if (since !== undefined) {
    throw new LvmsyncError('usage', '--since is only for thin volumes', {
      hint: 'For thick snapshots: lvmsync OLDER-SNAPSHOT --data-source NEWER-SNAPSHOT DESTINATION',
    });
  }
  const { dataSource } = request;
  return openThick(volume, { dataSource, sizeOf: 'origin' }, context);
}
