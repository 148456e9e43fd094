/**
 * Standard output that leads to what a run reads. The shell has opened it, and may have emptied it, before the
 * run could look.
 */

import { constants, fstatSync, statSync } from 'node:fs';
import { type ExitName, LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { findRelation, type SourceMember } from '../device/relation.js';
import {
  type DeviceIdentity,
  identityFromStat,
  identityKey,
  Topology,
} from '../device/topology.js';
import { readText } from '../host/virtual-files.js';
import { STDOUT } from '../host/write-fully.js';
import type { Source } from '../source/source.js';

/** Throws (destinationUnfit) if a stream that is written there would change what is read. */
export function refuseOwnOutput({ device, members }: Pick<Source, 'device' | 'members'>): void {
  const output = identityOfOutput();
  if (output === undefined) return;
  const relation = findRelation(output, members, new Topology());
  switch (relation?.kind) {
    case undefined:
    // It has a COW store of its own.
    case 'sibling':
      return;
    case 'same':
      throw ownOutput(`is ${relation.member.role}, which this run reads`);
    case 'beneath':
      throw ownOutput(`carries the data of ${relation.member.role}`);
    case 'over':
      throw ownOutput(`is built on ${relation.member.role}`);
    case 'within':
      // Elsewhere than where the data come from it does no harm.
      if (!isSame(relation.member, device)) return;
      throw ownOutput(
        `lies in a file system on ${relation.member.role}, so writing it changes the source`,
      );
  }
}

/** Throws (destinationUnfit) if what is printed would become a part of that file. */
export function refuseOutputTo(path: string, identity: DeviceIdentity | undefined): void {
  const output = identityOfOutput();
  if (output === undefined || identity === undefined) return;
  if (identityKey(output) !== identityKey(identity)) return;
  throw new LvmsyncError('destinationUnfit', `${path}: this file is also standard output`, {
    ...UNTOUCHED,
    hint: 'Redirect standard output to another file.',
  });
}

const O_ACCMODE = 3;

/** What would be written, in a sentence; and the status of a run that cannot write it. */
export interface LostOutput {
  readonly what: string;
  readonly code: ExitName;
  readonly hint: string;
}

/**
 * Throws if what is written would be lost. Node opens /dev/null for reading and writing in the place of a
 * descriptor that is closed; a shell that is told to use it opens it for writing only.
 */
export function refuseClosedOutput({ what, code, hint }: LostOutput): void {
  const { rdev } = fstatSync(STDOUT);
  if (!fstatSync(STDOUT).isCharacterDevice() || rdev !== statSync('/dev/null').rdev) return;
  const [, flags = ''] =
    /^flags:\s*([0-7]+)$/m.exec(readText(`/proc/self/fdinfo/${STDOUT}`) ?? '') ?? [];
  if ((Number.parseInt(flags, 8) & O_ACCMODE) !== constants.O_RDWR) return;
  throw new LvmsyncError(
    code,
    `standard output is closed, or is /dev/null opened for reading and writing: ${what} would be lost`,
    { hint },
  );
}

function identityOfOutput(): DeviceIdentity | undefined {
  return identityFromStat(fstatSync(STDOUT, { bigint: true }));
}

function isSame({ identity }: SourceMember, device: Source['device']): boolean {
  return identityKey(identity) === identityKey(device.identity);
}

function ownOutput(problem: string): LvmsyncError {
  return new LvmsyncError('destinationUnfit', `standard output ${problem}`, {
    ...UNTOUCHED,
    hint: 'Redirect it to a file elsewhere, or to a pipe.',
  });
}
