/** Whether a destination of this machine could be written now, and a snapback be kept. Changes nothing. */

import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { LvmsyncError } from '../../base/errors.js';
import { humanSize } from '../../base/text.js';
import { openForDryRun, tooShort, tooSmall } from '../../destination/open-destination.js';
import type { FileDevice } from '../../device/block-device.js';
import { checkSnapback } from '../../pipeline/snapback-file.js';
import { type Diagnosis, failureOf } from './report.js';
import type { SourceFindings } from './source.js';

const SUBJECT = 'destination';

/** Nothing is known of a source on another host. */
export async function examineDestination(
  path: string,
  source: SourceSizes & Pick<SourceFindings, 'members' | 'headKinds'>,
  command: string,
): Promise<Diagnosis[]> {
  const warnings: Diagnosis[] = [];
  const warn = (text: string): void => {
    warnings.push({ level: 'warning', subject: SUBJECT, text });
  };
  const listener = { warn, verbose: () => undefined };
  try {
    const { members, headKinds } = source;
    const request = { path, members, headKinds, force: false, command };
    const { device, close } = await openForDryRun(request, listener);
    try {
      return [...judgeSize(describe(device), source), ...warnings];
    } finally {
      await close();
    }
  } catch (error) {
    if (!(error instanceof LvmsyncError)) throw error;
    return [...warnings, failureOf(SUBJECT, error)];
  }
}

export type SourceSizes = Pick<SourceFindings, 'size' | 'copySize'>;

/** With its size in bytes, where that is known. */
export interface Place extends Pick<Diagnosis, 'size' | 'fileSize' | 'text'> {
  readonly path: string;
}

function describe({ path, size, info: { blockDevice } }: FileDevice): Place {
  if (blockDevice) return { path, size, text: `${path} can be written, ${humanSize(size)}` };
  return { path, fileSize: size, text: `${path} can be written, a file of ${humanSize(size)}` };
}

/** An unknown size is not an obstacle. */
export function judgeSize({ path, ...place }: Place, source: SourceSizes): Diagnosis[] {
  const { size, fileSize } = place;
  const { size: sourceSize = 0, copySize = 0 } = source;
  if (size !== undefined && size < sourceSize) {
    return [failureOf(SUBJECT, tooSmall({ path, size }, { sourceSize }))];
  }
  // Under --init it would be made longer.
  if (fileSize !== undefined && fileSize < Math.min(copySize, sourceSize)) {
    return [failureOf(SUBJECT, tooShort({ path, size: fileSize }, { copySize }))];
  }
  return [{ level: 'ok', subject: SUBJECT, ...place }];
}

/** How much it would need only a dry run can tell. */
export function examineSnapback(path: string): Diagnosis {
  try {
    checkSnapback({ path, overwrite: false, roomFor: undefined });
    const { bavail, bsize } = statfsSync(dirname(path));
    const free = humanSize(bavail * bsize);
    const text = `${path} can be created; ${free} free there. It takes everything that is overwritten`;
    return { level: 'ok', subject: 'snapback', text };
  } catch (error) {
    if (!(error instanceof LvmsyncError)) throw error;
    return failureOf('snapback', error);
  }
}
