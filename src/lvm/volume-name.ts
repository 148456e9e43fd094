/**
 * From what a person typed to the names of a logical volume. Only the path is looked at; whether LVM
 * knows such a volume is for others to ask.
 */

import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../base/errno.js';
import { LvmsyncError } from '../base/errors.js';
import type { CommandError } from '../host/subprocess.js';
import { parseDeviceName, parseDeviceUuid } from './device-name.js';

/** The kind of a path, as far as finding a volume goes. */
export type PathKind =
  | { readonly kind: 'missing' }
  | { readonly kind: 'block'; readonly number: string; readonly mapped?: MappedDevice }
  /** `what` completes "it is ...". */
  | { readonly kind: 'other'; readonly what: string };

export interface MappedDevice {
  readonly name: string;
  readonly uuid: string;
}

/** The volume that a person meant. */
export interface WantedVolume {
  /** As it was typed. */
  readonly subject: string;
  readonly vgName: string;
  readonly lvName: string;
  /** As the kernel gives it, without hyphens, where the subject is a device. */
  readonly uuid?: string;
}

/** The kind of volume that a subject has to name. */
export type Sought = 'snapshot' | 'volume';

function nameForms(sought: Sought): string {
  return `Name a ${sought} as /dev/VG/LV, /dev/mapper/NAME or VG/LV.`;
}

/**
 * The volume that `subject` stands for: /dev/VG/LV, /dev/mapper/NAME, VG/LV, or any path to its device.
 * Throws LvmsyncError 'usage' if it can be the name of none.
 */
export async function identifyVolume(
  subject: string,
  inspect: (path: string) => Promise<PathKind>,
  sought: Sought = 'snapshot',
): Promise<WantedVolume> {
  const found = await inspect(subject);
  const notVolume = (what: string): LvmsyncError =>
    new LvmsyncError('usage', `${subject}: not a logical volume, but ${what}`, {
      hint: nameForms(sought),
    });
  if (found.kind === 'block') return identifyDevice(subject, found, notVolume);
  const name = parseSubject(subject);
  if (found.kind === 'other' && (name === undefined || subject.startsWith('/'))) {
    throw notVolume(found.what);
  }
  if (name === undefined) {
    throw new LvmsyncError('usage', `${subject}: no such device`, { hint: nameForms(sought) });
  }
  return { subject, ...name };
}

/** Throws what `notVolume` makes of what the device is. */
function identifyDevice(
  subject: string,
  found: PathKind & { kind: 'block' },
  notVolume: (what: string) => LvmsyncError,
): WantedVolume {
  const { number, mapped } = found;
  if (mapped === undefined) throw notVolume(`the block device ${number}`);
  const uuid = parseDeviceUuid(mapped.uuid);
  const name = parseDeviceName(mapped.name);
  if (uuid === undefined || name === undefined) {
    throw notVolume(`the device-mapper device "${mapped.name}" of another program`);
  }
  if (uuid.layer !== undefined) {
    const what = `the internal device "${uuid.layer}" of ${name.vgName}/${name.lvName}`;
    throw notVolume(what);
  }
  return { subject, vgName: name.vgName, lvName: name.lvName, uuid: uuid.lvUuid };
}

/** LVM's rule for names of groups and volumes; it keeps options, tags and paths out. */
const LVM_NAME = /^(?!\.{1,2}$)[\w+.][\w+.-]*$/;

/** The names in a path that is not there (the volume is inactive) or in VG/LV. */
function parseSubject(subject: string): { vgName: string; lvName: string } | undefined {
  const [, mapped] = /^\/dev\/mapper\/([^/]+)$/.exec(subject) ?? [];
  if (mapped !== undefined) {
    const { vgName, lvName, layer } = parseDeviceName(mapped) ?? {};
    return vgName === undefined || lvName === undefined || layer !== undefined
      ? undefined
      : { vgName, lvName };
  }
  const [, vgName = '', lvName = ''] = /^(?:\/dev\/)?([^/]+)\/([^/]+)$/.exec(subject) ?? [];
  return LVM_NAME.test(vgName) && LVM_NAME.test(lvName) ? { vgName, lvName } : undefined;
}

/** LVM does not know a volume of that name. */
export function noSuchVolume(subject: string, sought: Sought, cause?: CommandError): LvmsyncError {
  const detail = cause === undefined ? '' : ` (${cause.message})`;
  return new LvmsyncError('usage', `${subject}: no such logical volume${detail}`, {
    hint: `"vgs" and "lvs" list the groups and volumes. ${nameForms(sought)}`,
    cause,
  });
}

/** Follows symbolic links; device-mapper's name and uuid come from sysfs. */
export async function inspectPath(path: string): Promise<PathKind> {
  const found = await stat(path).catch((cause: unknown) => missing(path, cause));
  if (found === undefined) return { kind: 'missing' };
  if (found.isFile()) return { kind: 'other', what: 'a regular file' };
  if (found.isDirectory()) return { kind: 'other', what: 'a directory' };
  if (!found.isBlockDevice()) return { kind: 'other', what: 'a special file' };
  const number = deviceNumber(found.rdev);
  try {
    const folder = `/sys/dev/block/${number}/dm`;
    const name = (await readFile(join(folder, 'name'), 'utf8')).trim();
    const uuid = (await readFile(join(folder, 'uuid'), 'utf8')).trim();
    return { kind: 'block', number, mapped: { name, uuid } };
  } catch (cause) {
    return missing(path, cause) ?? { kind: 'block', number };
  }
}

/** Undefined for "there is no such file"; any other failure to look is thrown. */
function missing(path: string, cause: unknown): undefined {
  const code = errnoOf(cause);
  if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
  throw new LvmsyncError('usage', `${path}: cannot be looked up (${code ?? cause})`, { cause });
}

/** Linux's dev_t: 12 + 20 bits of major, 8 + 24 of minor, interleaved. */
function deviceNumber(rdev: number): string {
  const bits = BigInt(rdev);
  const major = ((bits >> 8n) & 0xfffn) | ((bits >> 32n) & 0xfffff000n);
  const minor = (bits & 0xffn) | ((bits >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}
