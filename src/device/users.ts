/**
 * Who uses a device right now: mounts, swap areas, processes that hold it open for writing. All from
 * `/proc`; a mount in another mount namespace is not seen here, an exclusive open finds that one.
 */

import { readFileSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import { listNames, readLine, readLink, readText } from '../host/virtual-files.js';
import { type DeviceIdentity, identityKey, type TopologyEffects } from './topology.js';

export interface Mount {
  readonly device: DeviceIdentity;
  readonly mountPoint: string;
}

export interface Opener {
  readonly pid: number;
  /** The process's name as the kernel has it, at most 15 bytes. */
  readonly name: string;
}

/** Throws if `/proc` is not there: without it nothing could be said about safety. */
export function readMounts(effects: TopologyEffects): Mount[] {
  const text = readFileSync(join(effects.root, '/proc/self/mountinfo'), 'utf8');
  return text.split('\n').flatMap((line) => parseMount(line, effects));
}

/** `id parent major:minor root mountPoint options [optional...] - type source superOptions` */
function parseMount(line: string, effects: TopologyEffects): Mount[] {
  const fields = line.split(' ');
  const [device, mountPoint] = [fields[2], fields[4]];
  if (device === undefined || mountPoint === undefined) return [];
  const mount = {
    device: { kind: 'block', device },
    mountPoint: unescapeOctal(mountPoint),
  } as const;
  // For an anonymous device number (btrfs) only the source's path leads to the block device.
  const source = unescapeOctal(fields[fields.indexOf('-', 6) + 2] ?? '');
  const anonymous = device.startsWith('0:') && source.startsWith('/');
  const behind = anonymous ? effects.identify(source) : undefined;
  return behind === undefined ? [mount] : [mount, { ...mount, device: behind }];
}

/** Active swap areas, devices and files. A kernel without swap has no such file. */
export function readSwaps(effects: TopologyEffects): DeviceIdentity[] {
  const text = readText(join(effects.root, '/proc/swaps')) ?? '';
  return text.split('\n').flatMap((line) => {
    const path = unescapeOctal(line.split(/\s/)[0] ?? '');
    const identity = path.startsWith('/') ? effects.identify(path) : undefined;
    return identity === undefined ? [] : [identity];
  });
}

/** The kernel writes blanks, backslashes and newlines in these tables as `\040`. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

export interface OpenTarget {
  readonly path: string;
  readonly identity: DeviceIdentity;
}

/**
 * Other processes that have the target open for writing. A virtual machine's disk is found only in
 * this way: qemu claims nothing. Processes that may not be looked at are passed over.
 */
export function findWriters(target: OpenTarget, effects: TopologyEffects): Opener[] {
  const proc = join(effects.root, '/proc');
  const mayLead = linkFilter(target);
  const wanted = identityKey(target.identity);
  const holds = (pid: string) =>
    listNames(join(proc, pid, 'fd')).some((descriptor) => {
      const link = join(proc, pid, 'fd', descriptor);
      // In this order: a link costs one call, and of thousands few lead to a device.
      if (!mayLead(readLink(link) ?? '')) return false;
      if (!isWritable(readText(join(proc, pid, 'fdinfo', descriptor)))) return false;
      const identity = effects.identify(link);
      return identity !== undefined && identityKey(identity) === wanted;
    });
  return listNames(proc)
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .filter(holds)
    .map((pid) => ({ pid: Number(pid), name: readLine(join(proc, pid, 'comm')) ?? '?' }));
}

/** Spares a stat of every file of every process, which could hang on a dead network file system. */
function linkFilter(target: OpenTarget): (link: string) => boolean {
  if (target.identity.kind === 'block') return (link) => link.startsWith('/dev/');
  const name = basename(resolvePath(target.path));
  return (link) => basename(link) === name;
}

function resolvePath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

const O_ACCMODE = 0o3;

function isWritable(fdinfo: string | undefined): boolean {
  const flags = /^flags:\s*([0-7]+)$/m.exec(fdinfo ?? '')?.[1];
  return flags !== undefined && (Number.parseInt(flags, 8) & O_ACCMODE) !== 0;
}
