/** Whether a destination of this machine could be written now, and a snapback be kept. Changes nothing. */

import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { FileDevice } from './block-device.js';
import { lookAtDestination, tooSmall } from './destination.js';
import { type Diagnosis, failureOf } from './doctor-report.js';
import type { SourceFindings } from './doctor-source.js';
import { LvmsyncError } from './errors.js';
import { checkSnapback } from './snapback-file.js';
import { humanSize } from './text.js';

const SUBJECT = 'destination';

/** Of a source on another host nothing is known. */
export async function examineDestination(
  path: string,
  source: Pick<SourceFindings, 'members' | 'size'>,
  command: string,
): Promise<Diagnosis[]> {
  const warnings: Diagnosis[] = [];
  const warn = (text: string): void => {
    warnings.push({ level: 'warning', subject: SUBJECT, text });
  };
  const listener = { warn, verbose: () => undefined };
  try {
    const request = { path, members: source.members, force: false, command };
    const { device, close } = await lookAtDestination(request, listener);
    try {
      return [...judgeSize(describe(device), source.size), ...warnings];
    } finally {
      await close();
    }
  } catch (error) {
    if (!(error instanceof LvmsyncError)) throw error;
    return [...warnings, failureOf(SUBJECT, error)];
  }
}

export interface Place {
  readonly path: string;
  /** Bytes; undefined: what is smaller is made larger. */
  readonly size: number | undefined;
  readonly text: string;
}

function describe({ path, size, info: { blockDevice } }: FileDevice): Place {
  if (blockDevice) return { path, size, text: `${path} may be written, ${humanSize(size)}` };
  return { path, size: undefined, text: `${path} may be written, a file of ${humanSize(size)}` };
}

/** Size of both in bytes; what is not known is no obstacle. */
export function judgeSize(
  { path, size, text }: Place,
  sourceSize: number | undefined,
): Diagnosis[] {
  if (size !== undefined && sourceSize !== undefined && size < sourceSize) {
    return [failureOf(SUBJECT, tooSmall({ path, size }, { sourceSize }))];
  }
  return [{ level: 'ok', subject: SUBJECT, text, ...(size !== undefined && { size }) }];
}

/** How much it would need only a dry run can tell. */
export function examineSnapback(path: string): Diagnosis {
  try {
    checkSnapback({ path, overwrite: false, roomFor: undefined });
    const { bavail, bsize } = statfsSync(dirname(path));
    const free = humanSize(bavail * bsize);
    const text = `${path} can be made; ${free} are free there, and it holds all that is overwritten`;
    return { level: 'ok', subject: 'snapback', text };
  } catch (error) {
    if (!(error instanceof LvmsyncError)) throw error;
    return failureOf('snapback', error);
  }
}
