/**
 * The snapshot that the data of a run come from, where they do: once it has overflowed, nothing more can be
 * read of it.
 */

import { LvmsyncError } from '../base/errors.js';
import type { FileDevice } from '../device/block-device.js';
import type { RunCommand } from '../host/subprocess.js';
import { readLine } from '../host/virtual-files.js';
import { parseDeviceName } from '../lvm/device-name.js';
import { readMappedTable } from '../lvm/dmsetup.js';
import type { StatusTarget } from '../lvm/dmsetup-status.js';
import { askHost } from '../lvm/host-tools.js';
import { refuseRunningMerge } from '../lvm/origin-merge.js';
import { FAULT_TEXTS } from '../lvm/snapshot-status.js';
import { readStores, type Store } from '../lvm/store-status.js';
import { fullName } from '../lvm/unfit-volume.js';
import type { Source } from './source.js';

/** The snapshot that the device is a view of, if it is one; its status shows whether it is. */
export function storeOf({ info }: Pick<FileDevice, 'info'>): Store | undefined {
  if (!info.blockDevice) return undefined;
  const folder = `/sys/dev/block/${info.major}:${info.minor}/dm`;
  const dmUuid = readLine(`${folder}/uuid`);
  const volume = parseDeviceName(readLine(`${folder}/name`) ?? '');
  if (volume === undefined || !dmUuid?.startsWith('LVM-')) return undefined;
  return { name: fullName(volume), dmUuid };
}

/**
 * To be called once the last byte was read, before it is said anywhere that all of it is there. Throws
 * (sourceUnfit) if the data came from a snapshot that has overflowed: a read that was under way then may
 * have got what the origin holds now. The kernel calls a snapshot invalid before it lets the write go on
 * that it had no room for, so of one that is whole now every read was right. The same where a merge into
 * a device that was read has begun.
 */
export async function requireWhole(
  { device, members }: Pick<Source, 'device' | 'members'>,
  run: RunCommand = askHost,
): Promise<void> {
  await refuseRunningMerge(members, (member) => readMappedTable(member, run));
  const own = storeOf(device);
  if (own === undefined) return;
  for (const { store, target } of await readStores([own], run)) {
    if (!isOverflow(target)) continue;
    throw new LvmsyncError(
      'sourceUnfit',
      `${store.name}: it overflowed while it was read, so the last blocks may be too new (kernel: ${target.fault})`,
      { hint: 'Make a new, larger snapshot.' },
    );
  }
}

type Overflow = Extract<StatusTarget, { type: 'snapshot' | 'snapshot-merge'; fault: string }>;

export function isOverflow(target: StatusTarget): target is Overflow {
  return target.type === 'snapshot' && 'fault' in target;
}

export function overflowed({ name }: Store, { fault }: Overflow): LvmsyncError {
  return new LvmsyncError('sourceUnfit', `${name}: ${FAULT_TEXTS[fault]}`);
}

/** From a snapshot that overflows while it is read nothing more can be read. */
export async function explainRead(
  error: unknown,
  own: Store | undefined,
  run: RunCommand,
): Promise<unknown> {
  const isRead = error instanceof LvmsyncError && error.code === 'sourceRead';
  if (!isRead || own === undefined) return error;
  // The fault itself is the better answer than that nobody can find out why.
  const found = await readStores([own], run).catch(() => []);
  for (const { store, target } of found) {
    if (!isOverflow(target)) continue;
    const { state, hint } = error;
    const left = { ...(state !== undefined && { state }), ...(hint !== undefined && { hint }) };
    const named = overflowed(store, target);
    return new LvmsyncError(named.code, named.message, { ...left, cause: error });
  }
  return error;
}
