/**
 * How the snapshots of a chain are called and tagged in their volume group. LVM keeps the tags with the
 * volume, so that after any crash they tell which snapshots are ours and of which moment. Pure.
 */

import { createHash } from 'node:crypto';
import { formatDeviceName, type VolumeName } from '../lvm/device-name.js';
import type { Destination } from '../remote/destination-name.js';

/** On each snapshot that a cycle made. */
export const CYCLE_TAG = 'lvmsync_cycle';
/** As long as it is not known that the snapshot was made between the freeze and the thaw. */
export const UNCONFIRMED_TAG = 'lvmsync_unconfirmed';

const TIME_TAG = 'lvmsync_at_';
const USE_TAG = 'lvmsync_used_';
/** So many intervals a snapshot remembers. The tag for them has to stay below 128 characters. */
export const REMEMBERED = 8;
const HASH_LENGTH = 12;
const CHAIN_TAG = new RegExp(`^lvmsync_[0-9a-f]{${HASH_LENGTH}}$`);

/**
 * The tag that snapshots of one chain share: of what host, destination and directory. Who logs in there
 * makes no difference; `path` and `directory` of this machine are absolute.
 */
export function chainTag({ host, path }: Destination, directory: string): string {
  const name = host?.slice(host.lastIndexOf('@') + 1) ?? '';
  const place = [name, withoutSpareSlashes(path), withoutSpareSlashes(directory)];
  return `lvmsync_${hashOf(place).slice(0, HASH_LENGTH)}`;
}

/** Half of the tag of a chain that is pulled; the other half comes from the puller. */
const SCOPE_LENGTH = HASH_LENGTH / 2;

/** That beginning of the tag of a chain, if it is one that is pulled. */
export function scopeOf(tag: string): string {
  return tag.slice(0, pulledScope('').length);
}

/** The beginning that the tags of all chains share which are pulled under that name. */
export function pulledScope(name: string): string {
  return `lvmsync_${hashOf(['pull', name]).slice(0, SCOPE_LENGTH)}`;
}

/** The tag of the chain with that id among those. */
export function pulledTag(name: string, chain: string): string {
  const half = hashOf(['pull', name, chain]).slice(0, HASH_LENGTH - SCOPE_LENGTH);
  return pulledScope(name) + half;
}

function hashOf(words: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(words)).digest('hex');
}

/** Only `~/` means a home directory, and `~` may be the name of a file. */
function withoutSpareSlashes(path: string): string {
  return path.replace(/\/+/g, '/').replace(/(?<!^~?)\/$/, '');
}

/** The tag of its chain among those of a snapshot. */
export function chainTagOf(tags: readonly string[]): string | undefined {
  return tags.find((tag) => CHAIN_TAG.test(tag));
}

/** `time` is ISO 8601, UTC, in whole seconds; a tag cannot hold its colons on every version of LVM. */
export function timeTag(time: string): string {
  return TIME_TAG + compact(time);
}

/** The inverse; undefined if no tag holds a time. */
export function timeOfTags(tags: readonly string[]): string | undefined {
  const tag = tags.find((one) => one.startsWith(TIME_TAG));
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(tag?.slice(TIME_TAG.length) ?? '');
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  return `${year}-${month}-${day}T${hour}:${minute}:${second}Z`;
}

/** Whether a cycle may have given that name. */
export function isSnapshotName(lvName: string): boolean {
  return /-lvmsync-\d{8}T\d{6}Z$/.test(lvName);
}

/** How many bytes the snapshots before had to hold, the newest first: `lvmsync_used_20480.512`, in KiB. */
export function useTag(uses: readonly number[]): string {
  const kibibytes = uses.slice(0, REMEMBERED).map((bytes) => Math.ceil(bytes / 1024));
  return USE_TAG + kibibytes.join('.');
}

export function isUseTag(tag: string): boolean {
  return tag.startsWith(USE_TAG);
}

/** The inverse. Where there are two such tags, a change was cut short: the larger values count. */
export function usesOfTags(tags: readonly string[]): readonly number[] {
  const lists = tags.flatMap((tag) => {
    const [, numbers] = /^lvmsync_used_(\d{1,10}(?:\.\d{1,10})*)$/.exec(tag) ?? [];
    return numbers === undefined ? [] : [numbers.split('.').map((one) => Number(one) * 1024)];
  });
  const length = Math.min(REMEMBERED, Math.max(0, ...lists.map((list) => list.length)));
  return Array.from({ length }, (_, i) => Math.max(...lists.map((list) => list[i] ?? 0)));
}

/** Bytes that the kernel allows for the name of a device. */
const LONGEST_DEVICE_NAME = 127;

/** `LV-lvmsync-20261123T105500Z`; of a name that is too long only the beginning. */
export function snapshotName({ vgName, lvName }: VolumeName, time: string): string {
  const suffix = `-lvmsync-${compact(time)}`;
  let kept = lvName;
  // The longest name is that of the device below, which holds what the snapshot saves.
  const length = (): number =>
    formatDeviceName({ vgName, lvName: kept + suffix, layer: 'cow' }).length;
  while (kept.length > 1 && length() > LONGEST_DEVICE_NAME) kept = kept.slice(0, -1);
  return kept + suffix;
}

/** `2026-11-23T10:55:00Z` of milliseconds since 1970. */
export function pointTime(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}

function compact(time: string): string {
  return time.replace(/[-:]/g, '');
}
