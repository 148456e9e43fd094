/**
 * Standard output that leads to what a run reads. The shell has opened it, and may have emptied it, before the
 * run could look.
 */

import { fstatSync } from 'node:fs';
import { type DeviceIdentity, identityFromStat, identityKey, Topology } from './device-topology.js';
import { LvmsyncError } from './errors.js';
import type { Source } from './source.js';
import { findRelation, type SourceMember } from './source-family.js';
import { STDOUT } from './write-whole.js';

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
        `lies in a file system on ${relation.member.role}, so that writing it changes that`,
      );
  }
}

/** Throws (destinationUnfit) if what is printed would become a part of that file. */
export function refuseOutputTo(path: string, identity: DeviceIdentity | undefined): void {
  const output = identityOfOutput();
  if (output === undefined || identity === undefined) return;
  if (identityKey(output) !== identityKey(identity)) return;
  throw new LvmsyncError('destinationUnfit', `${path}: this is standard output, too`, {
    state: 'Nothing was written.',
    hint: 'Let standard output go to another file.',
  });
}

function identityOfOutput(): DeviceIdentity | undefined {
  return identityFromStat(fstatSync(STDOUT, { bigint: true }));
}

function isSame({ identity }: SourceMember, device: Source['device']): boolean {
  return identityKey(identity) === identityKey(device.identity);
}

function ownOutput(problem: string): LvmsyncError {
  return new LvmsyncError('destinationUnfit', `standard output ${problem}`, {
    state: 'Nothing was written.',
    hint: 'Let it go to a file elsewhere, or to a pipe.',
  });
}
