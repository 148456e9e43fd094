/** The needs of a run on this machine, apart from tools: Node, the kernel, rights, directories, packages. */

import { accessSync, constants, existsSync } from 'node:fs';
import { release } from 'node:os';
import { dirname } from 'node:path';
import { LvmsyncError } from '../../base/errors.js';
import { hasLz4, hasSsh2 } from '../../host/addon.js';
import { findLockPlace, type LockPlace } from '../../host/lock-directory.js';
import { native } from '../../host/native.js';
import { CommandError, runCommand } from '../../host/subprocess.js';
import { readText } from '../../host/virtual-files.js';
import { HELD_DIRECTORY } from '../../lvm/thin/held-record.js';
import type { Diagnosis } from './report.js';
import { isAtLeast, type Needs } from './tools.js';

/** As package.json asks for it. */
export const OLDEST_NODE = '18.20';

/** Device-mapper targets, the module of each, and what cannot be done without it. */
const TARGETS = [
  { target: 'snapshot', module: 'dm-snapshot', purpose: 'no thick snapshot can be read' },
  { target: 'thin-pool', module: 'dm-thin-pool', purpose: 'no thin volume can be read' },
] as const;

export interface MachineFacts {
  readonly node: string;
  readonly engine: { readonly name: string; readonly refused: string | null };
  readonly uid: number;
  readonly lz4: boolean;
  readonly ssh2: boolean;
  /** The kernel's targets, as dmsetup lists those that are loaded, or why it cannot. */
  readonly targets: readonly string[] | LvmsyncError;
  /** The modules that can be loaded, or are built in: the text of the kernel's own lists. */
  readonly modules: string;
  readonly locks: LockPlace;
  /** The directory for records of a held metadata snap can be written, or made. */
  readonly canKeepRecords: boolean;
}

export async function readMachine(engine: string): Promise<MachineFacts> {
  const folder = `/lib/modules/${release()}`;
  const lists = ['modules.dep', 'modules.builtin'].map((name) => readText(`${folder}/${name}`));
  return {
    node: process.versions.node,
    engine: native.selectEngine(engine),
    uid: process.getuid?.() ?? -1,
    lz4: hasLz4(),
    ssh2: hasSsh2(),
    targets: await listTargets(),
    modules: lists.join('\n'),
    locks: findLockPlace(),
    canKeepRecords: isWritable(HELD_DIRECTORY),
  };
}

async function listTargets(): Promise<readonly string[] | LvmsyncError> {
  try {
    const { stdout } = await runCommand(['dmsetup', 'targets']);
    return stdout.split('\n').map((line) => line.split(/\s/, 1)[0] ?? '');
  } catch (error) {
    if (error instanceof CommandError) return error;
    throw error;
  }
}

function isWritable(path: string): boolean {
  if (!existsSync(path)) return path !== '/' && isWritable(dirname(path));
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

export function judgeMachine(facts: MachineFacts, needs: Needs): Diagnosis[] {
  return [
    judgeNode(facts.node),
    judgeUser(facts.uid, needs),
    judgeEngine(facts.engine),
    ...judgeTargets(facts, needs),
    judgeLocks(facts.locks),
    ...judgeRecords(facts, needs),
    judgePackage(
      'lz4-napi',
      facts.lz4,
      '--compress is not available, and compressed streams cannot be read',
    ),
    judgePackage(
      'ssh2',
      facts.ssh2,
      '--transport ssh2 is not available (without that option the ssh command is used)',
    ),
  ];
}

function judgeNode(version: string): Diagnosis {
  const subject = 'Node.js';
  if (isAtLeast(version, OLDEST_NODE)) return { level: 'ok', subject, text: version };
  const text = `${version} is too old: ${OLDEST_NODE} or newer is needed`;
  const remedy =
    'On Debian 12 or newer: apt-get install nodejs. Or use the single-file executable.';
  return { level: 'missing', subject, text, remedy };
}

function judgeUser(uid: number, needs: Needs): Diagnosis {
  const subject = 'rights';
  if (uid === 0) return { level: 'ok', subject, text: 'root' };
  const text = `user ${uid}: only root can use LVM and most block devices`;
  return { level: needs.lvm ? 'missing' : 'warning', subject, text, remedy: 'Run it with sudo.' };
}

function judgeEngine({ name, refused }: MachineFacts['engine']): Diagnosis {
  const subject = 'io_uring';
  if (name === 'io_uring') return { level: 'ok', subject, text: 'in use' };
  const text = `threads are used instead, which may be slower (${refused ?? 'as requested'})`;
  const remedy = remedyForEngine(refused ?? '');
  return { level: 'warning', subject, text, ...(remedy !== undefined && { remedy }) };
}

function remedyForEngine(refused: string): string | undefined {
  if (/EPERM|EACCES/.test(refused)) {
    return 'It is forbidden: check sysctl kernel.io_uring_disabled and what confines this process, such as a container or a systemd unit.';
  }
  if (/ENOSYS|EINVAL/.test(refused)) return 'It needs Linux 5.6 or newer, built with io_uring.';
  return undefined;
}

function judgeTargets({ targets, modules, uid }: MachineFacts, { lvm }: Needs): Diagnosis[] {
  const subject = 'kernel';
  // The tool has a line of its own.
  if (targets instanceof CommandError && targets.status === undefined) return [];
  if (targets instanceof LvmsyncError) {
    if (uid !== 0) {
      return [{ level: 'warning', subject, text: 'only root can query the device mapper' }];
    }
    const reason = reasonOf(targets);
    const text = `the device mapper cannot be queried, so no snapshot can be read (${reason})`;
    return [{ level: lvm ? 'missing' : 'warning', subject, text, remedy: 'Try: modprobe dm-mod' }];
  }
  return TARGETS.map(({ target, module, purpose }) => {
    if (targets.includes(target)) return { level: 'ok', subject, text: `target ${target}` };
    // Their names are written with either sign.
    if (new RegExp(`/${module.replaceAll('-', '[-_]')}\\.ko`).test(modules)) {
      return { level: 'ok', subject, text: `target ${target}, loaded when needed` };
    }
    const text = `no target ${target}: ${purpose}`;
    return { level: 'warning', subject, text, remedy: `Try: modprobe ${module}` };
  });
}

/** The tool's first line of several. */
function reasonOf(error: LvmsyncError): string {
  const [line = ''] = error instanceof CommandError ? error.stderr.split('\n') : [];
  return line === '' ? error.message : line;
}

function judgeLocks(place: LockPlace): Diagnosis {
  const subject = 'locks';
  if (place.kind === 'found') return { level: 'ok', subject, text: place.path };
  const text = `no usable directory for lock files (${place.faults.join('; ')})`;
  return { level: 'missing', subject, text, remedy: 'Make one of these directories usable.' };
}

function judgeRecords({ canKeepRecords }: MachineFacts, { thin }: Needs): Diagnosis[] {
  if (!thin) return [];
  const subject = 'records';
  if (canKeepRecords) return [{ level: 'ok', subject, text: HELD_DIRECTORY }];
  const text = `${HELD_DIRECTORY} cannot be written: no metadata snap of a thin pool can be reserved`;
  return [{ level: 'missing', subject, text, remedy: 'Make it writable for root.' }];
}

function judgePackage(subject: string, isThere: boolean, without: string): Diagnosis {
  if (isThere) return { level: 'ok', subject, text: 'installed' };
  const remedy = `npm install ${subject}, or use the Debian package or the single-file executable.`;
  return { level: 'warning', subject, text: `not installed: ${without}`, remedy };
}
