/** What helps where a destination is missing: another name, an activation, or to make it. */

import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { LvmsyncError } from '../base/errors.js';
import { typedPath } from '../base/shell-words.js';
import { isNativeError } from '../host/native.js';
import { CommandError, type RunCommand } from '../host/subprocess.js';
import { parseDeviceName, type VolumeName } from '../lvm/device-name.js';
import { askHost } from '../lvm/host-tools.js';
import { listVolumes } from '../lvm/lvs-report.js';
import { activationHint, fullName } from '../lvm/unfit-volume.js';

/** It is a new one that is to be made, or it was to be there. */
export type IfMissing = 'make' | 'makeAndCopy' | 'find';

export interface Wanted {
  readonly path: string;
  /** Default: makeAndCopy. */
  readonly ifMissing?: IfMissing;
  /** Bytes that it has to hold; undefined where that is not known: then it is not made. */
  readonly size?: number | typeof SIZE_OF_VOLUME | undefined;
}

/** Stands for bytes that another host knows. */
export const SIZE_OF_VOLUME = 'SIZE';

/** The advice of the host of a destination, with the size filled in. */
export function withSize(advice: string, size: number): string {
  return advice.replace(`--size ${SIZE_OF_VOLUME}`, `--size ${size}`);
}

export function isMissing({ cause }: LvmsyncError): boolean {
  return isNativeError(cause) && cause.code === 'ENOENT';
}

export async function hintWhereMissing(wanted: Wanted, run: RunCommand = askHost): Promise<string> {
  const { path } = wanted;
  const volume = volumeAt(path);
  if (volume !== undefined) return hintForVolume(volume, wanted, run);
  // A disk comes by itself.
  if (/^\/dev\/(?!shm\/)/.test(path)) return 'Check its name.';
  const folder = dirname(path);
  const typed = typedPath(folder, undefined);
  const [check, before] = existsSync(folder)
    ? ['Check its name.', '']
    : [`The directory ${typed} does not exist: check the path.`, `mkdir -p ${typed} && `];
  const creation = `${before}truncate --size ${wanted.size} ${typedPath(path, undefined)}`;
  return toMake(check, creation, wanted);
}

async function hintForVolume(volume: VolumeName, wanted: Wanted, run: RunCommand): Promise<string> {
  const { vgName, lvName } = volume;
  const creation = `lvcreate --size ${wanted.size}b --name ${lvName} ${vgName}`;
  switch (await lookFor(volume, run)) {
    case 'noGroup':
      return noGroup(vgName, wanted.path);
    case 'inactive':
      return activationHint(fullName(volume));
    case 'noVolume':
      return toMake(`Check its name: "lvs ${vgName}" lists the volumes.`, creation, wanted);
    case 'unknown':
      return toMake(
        `Check its name, and activate it if it is an inactive volume ("lvchange -ay -K ${fullName(volume)}").`,
        creation,
        wanted,
      );
  }
}

function noGroup(vgName: string, path: string): string {
  const what = path.startsWith('/') ? '' : `, nor such a directory`;
  return `Its host does not have a volume group ${vgName}${what}: check the name. "vgs" lists the volume groups.`;
}

function toMake(check: string, creation: string, { ifMissing, size }: Wanted): string {
  if (ifMissing === 'find' || size === undefined) return check;
  const make = `${check} Where it is new, create it with "${creation}"`;
  if (ifMissing === 'make') return `${make}, then run the same command again.`;
  // A sync to an empty one would end well, and leave no copy.
  return `${make}, then copy the whole snapshot to it with dd: a sync to an empty destination makes no copy.`;
}

/** A volume that is not active has no device. */
async function lookFor(
  { vgName, lvName }: VolumeName,
  run: RunCommand,
): Promise<'noGroup' | 'noVolume' | 'inactive' | 'unknown'> {
  try {
    const volumes = await listVolumes(vgName, run);
    return volumes.some((volume) => volume.lvName === lvName) ? 'inactive' : 'noVolume';
  } catch (error) {
    if (!(error instanceof LvmsyncError)) throw error;
    // Anything else, such as no right to ask, says nothing about the name.
    return error instanceof CommandError && error.stderr.includes('not found')
      ? 'noGroup'
      : 'unknown';
  }
}

const BESIDE_DEV = /^\/dev\/([\w+.-]+)\/([\w+.-]+)$/;
/** As a volume can be typed; with a "." alone it would be a path. */
const TYPED = /^([\w+-][\w+.-]*)\/([\w+-][\w+.-]*)$/;
/** Directories of /dev that belong to no volume group: LVM refuses a group whose name is taken there. */
const NOT_OF_LVM = new Set(
  'block bsg bus char cpu disk dri drbd fd input mapper md mqueue net pts rbd shm snd vfio zvol'.split(
    ' ',
  ),
);

/** The volume whose device would have that name, if it can be one. */
function volumeAt(path: string): VolumeName | undefined {
  const [, mapped] = /^\/dev\/mapper\/([\w+.-]+)$/.exec(path) ?? [];
  if (mapped !== undefined) {
    const volume = parseDeviceName(mapped);
    return volume?.layer === undefined ? volume : undefined;
  }
  const [, vgName = '', lvName = ''] = BESIDE_DEV.exec(path) ?? TYPED.exec(path) ?? [];
  if (vgName === '' || NOT_OF_LVM.has(vgName)) return undefined;
  // A directory of that name comes first.
  return !path.startsWith('/') && existsSync(vgName) ? undefined : { vgName, lvName };
}
