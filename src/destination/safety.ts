/**
 * May this destination be written? Says what speaks against it; opens, claims and changes nothing.
 * The exclusive open (EBUSY) is the first guard, but it lets through an active origin, a physical
 * volume none of whose volumes is active, what a loop device lies on, and a virtual machine's disk.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { describeHeadKind } from '../device/head-kind.js';
import { findRelation, type SourceMember } from '../device/relation.js';
import {
  type DeviceIdentity,
  identityKey,
  realTopology,
  Topology,
  type TopologyEffects,
} from '../device/topology.js';
import { findWriters, readMounts, readSwaps } from '../device/users.js';

export interface InspectedTarget {
  /** As the user named it: for messages. */
  readonly path: string;
  /** From the opened descriptor, not from the path. */
  readonly identity: DeviceIdentity;
  /** BLKROGET: a read-only block device can be opened for writing. */
  readonly readOnly: boolean;
  /** See headKindOf. */
  readonly readHeadKind: () => Promise<string | undefined>;
}

export interface InspectedSource {
  /** Empty where the change stream comes from elsewhere. */
  readonly members: readonly SourceMember[];
  /**
   * The allowed first bytes of a copy of it, see headKindOf. A volume that a guest uses as a whole as its
   * physical volume has a copy with the same label: that copy is not a physical volume of this host. "unknown": of
   * a source that is not there to be looked at.
   */
  readonly headKinds?: readonly string[] | 'unknown';
}

export interface InspectEffects extends TopologyEffects {
  /** The output of `dmsetup table` for a `major:minor`; undefined unless it is a device-mapper device. */
  readonly dmTable: (device: string) => Promise<string | undefined>;
  /** Processes that write another part of the same destination for the same run. */
  readonly siblings: () => readonly number[];
}

/**
 * - `never`: certain harm, or certain failure; no option allows it.
 * - `refused`: the run is refused unless the user forces it.
 * - `warning`: the user is warned.
 * - `note`: told to those who ask for details.
 */
export type Severity = 'never' | 'refused' | 'warning' | 'note';

export interface Finding {
  readonly severity: Severity;
  /** One sentence without a full stop, beginning with the destination's path. */
  readonly message: string;
}

/**
 * Everything that speaks against writing the target, in the order of the checks; its size is not
 * looked at. Throws what `readHeadKind` and `dmTable` throw, and if `/proc` cannot be read.
 *
 * A device that this run reads is `never` written, nor what that is stored on, nor what is built on it: it
 * would change, or be destroyed, under the reader. Another thick snapshot of the origin has its own
 * COW store: to write it is rarely meant, but harms nothing, so it can be forced.
 */
export async function inspectDestination(
  target: InspectedTarget,
  source: InspectedSource,
  effects: Partial<InspectEffects> = {},
): Promise<Finding[]> {
  const all = { ...realTopology, dmTable: async () => undefined, siblings: () => [], ...effects };
  const subject: Subject = { target, source, effects: all, topology: new Topology(all) };
  const problems = [
    ...inspectFamily(subject),
    ...inspectReadOnly(subject),
    ...inspectMounts(subject),
    ...inspectSwaps(subject),
    ...inspectClaimants(subject),
    ...(await inspectLabel(subject)),
    ...(await inspectMerge(subject)),
    ...(await inspectWriters(subject)),
    ...inspectSnapshots(subject),
  ];
  return problems.map(({ severity, problem }) => ({
    severity,
    message: `${target.path} ${problem}`,
  }));
}

/**
 * Throws (destinationUnfit) with all that is refused in one line. Otherwise returns what is to be
 * told, what was forced as a warning.
 */
export function requireFit(
  findings: readonly Finding[],
  options: { readonly force: boolean },
): Finding[] {
  const refused = findings.filter(
    ({ severity }) => severity === 'never' || (severity === 'refused' && !options.force),
  );
  if (refused.length > 0) throw refusal(refused);
  return findings.map((finding) =>
    finding.severity === 'refused' ? { ...finding, severity: 'warning' } : finding,
  );
}

function refusal(refused: readonly Finding[]): LvmsyncError {
  const final = refused.some(({ severity }) => severity === 'never');
  return new LvmsyncError('destinationUnfit', refused.map(({ message }) => message).join('; '), {
    ...UNTOUCHED,
    hint: final
      ? 'No option allows this.'
      : 'Check that this is the right destination. If it is in use, unmount or stop that first; --force overrides this check.',
  });
}

interface Subject {
  readonly target: InspectedTarget;
  readonly source: InspectedSource;
  readonly effects: InspectEffects;
  readonly topology: Topology;
}

interface Problem {
  readonly severity: Severity;
  /** Reads on after the destination's path. */
  readonly problem: string;
}

function inspectFamily({ target, source, topology }: Subject): Problem[] {
  const relation = findRelation(target.identity, source.members, topology);
  switch (relation?.kind) {
    case undefined:
      return [];
    case 'same':
      return never(`is ${relation.member.role}, which this run reads`);
    case 'beneath':
      return never(`carries the data of ${relation.member.role}`);
    case 'over':
      return never(`is built on ${relation.member.role}: writing it changes what this run reads`);
    case 'sibling':
      return refused(siblingOf(topology.name(relation.layer)));
    case 'within':
      return warning(
        `lies in a file system on ${relation.member.role}: writing it changes what this run reads`,
      );
  }
}

function siblingOf(layer: string): string {
  return layer.endsWith('-real')
    ? 'is another snapshot of the same origin, or built on one'
    : `shares ${layer} with the source`;
}

function inspectReadOnly({ target }: Subject): Problem[] {
  return target.readOnly ? never('is read-only (lvchange -prw, blockdev --setrw)') : [];
}

function inspectMounts({ target, effects, topology }: Subject): Problem[] {
  const { identity } = target;
  const mounts = readMounts(effects);
  const mountPoints = (device: DeviceIdentity) =>
    mounts.filter((mount) => isSame(mount.device, device)).map((mount) => mount.mountPoint);

  const direct = mountPoints(identity);
  if (direct.length > 0) return refused(`is mounted at ${enumerate(direct)}`);
  const others = [...topology.above(identity), ...topology.wholeDisk(identity)];
  const other = others.find((device) => mountPoints(device).length > 0);
  if (other === undefined) return [];
  const places = enumerate(mountPoints(other));
  return refused(`is in use through ${topology.name(other)}, which is mounted at ${places}`);
}

function inspectSwaps({ target, effects, topology }: Subject): Problem[] {
  const reachable = [target.identity, ...topology.above(target.identity)];
  const swap = readSwaps(effects).find((area) => reachable.some((device) => isSame(device, area)));
  if (swap === undefined) return [];
  if (isSame(swap, target.identity)) return refused('is active swap space');
  return refused(`is in use through ${topology.name(swap)}, which is active swap space`);
}

/** Those of its partitions count: a physical volume on a partition keeps the whole disk in use. */
function inspectClaimants({ target, topology }: Subject): Problem[] {
  const carriers = [target.identity, ...topology.partitions(target.identity)];
  const claimants = carriers.flatMap((carrier) => topology.claimants(carrier));
  if (claimants.length === 0) return [];
  const names = enumerate(claimants.map((claimant) => topology.name(claimant)));
  return refused(`is in use by ${names}`);
}

async function inspectLabel({ target, source }: Subject): Promise<Problem[]> {
  const kind = await target.readHeadKind();
  if (kind === undefined) return [];
  const problem = `is ${describeHeadKind(kind)}`;
  if (source.headKinds === 'unknown')
    return warning(`${problem}: this is right only if the source holds the same`);
  return source.headKinds?.includes(kind) ? [] : refused(problem);
}

/** A merge that only waits for the next activation is known to LVM alone and not seen here. */
async function inspectMerge({ target, effects }: Subject): Promise<Problem[]> {
  if (target.identity.kind === 'file') return [];
  const table = await effects.dmTable(target.identity.device);
  if (table === undefined || !/^\d+ \d+ snapshot-merge /m.test(table)) return [];
  return refused('is being merged with a snapshot, which still changes it');
}

/** A process that another one has just started has its files for a moment, until it becomes a program. */
const JUST_STARTED_MS = 200;

async function inspectWriters({ target, effects }: Subject): Promise<Problem[]> {
  const found = findWriters(target, effects);
  // Asked for only now: each of them was known as a fellow before it opened the target.
  const siblings = found.length > 0 ? effects.siblings() : [];
  const strangers = found.filter(({ pid }) => !siblings.includes(pid));
  if (strangers.length === 0) return [];
  await sleep(JUST_STARTED_MS);
  const still = new Set(findWriters(target, effects).map(({ pid }) => pid));
  const writers = strangers.filter(({ pid }) => still.has(pid));
  if (writers.length === 0) return [];
  const names = enumerate(writers.map(({ pid, name }) => `process ${pid} (${name})`));
  return warning(`is open for writing in ${names}`);
}

/** Each block written to such an origin is first copied into every one of its snapshots. */
function inspectSnapshots({ target, topology }: Subject): Problem[] {
  const uuid = topology.deviceMapperUuid(target.identity);
  const real = topology
    .slaves(target.identity)
    .find((slave) => topology.deviceMapperUuid(slave) === `${uuid}-real`);
  if (real === undefined) return [];
  const snapshots = topology.holders(real).filter((holder) => !isSame(holder, target.identity));
  if (snapshots.length === 0) return [];
  const names = enumerate(snapshots.map((snapshot) => topology.name(snapshot)));
  return [{ severity: 'note', problem: `has snapshots that this run fills up: ${names}` }];
}

function isSame(one: DeviceIdentity, other: DeviceIdentity): boolean {
  return identityKey(one) === identityKey(other);
}

const NAMES_SHOWN = 4;

function enumerate(names: readonly string[]): string {
  const distinct = [...new Set(names)];
  const more = distinct.length - NAMES_SHOWN;
  const shown = distinct.slice(0, NAMES_SHOWN).join(', ');
  return more > 0 ? `${shown} and ${more} more` : shown;
}

function never(problem: string): Problem[] {
  return [{ severity: 'never', problem }];
}

function refused(problem: string): Problem[] {
  return [{ severity: 'refused', problem }];
}

function warning(problem: string): Problem[] {
  return [{ severity: 'warning', problem }];
}
