/** Opens what is to be written: claimed, checked to be safe, large enough. */

import { setTimeout as sleep } from 'node:timers/promises';
import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { exactSize } from '../base/text.js';
import { FileDevice, requireWritable } from '../device/block-device.js';
import { headKindOf } from '../device/head-kind.js';
import type { SourceMember } from '../device/relation.js';
import { lockKey } from '../device/topology.js';
import { isNativeError } from '../host/native.js';
import { acquireRunLock, type RunLock, requireUnlocked } from '../host/run-lock.js';
import { readMappedTable } from '../lvm/dmsetup.js';
import { refuseMergeInto } from '../lvm/origin-merge.js';
import type { Reporter } from '../run/reporter.js';
import { openSeen, openToCheck } from './first-look.js';
import type { IfMissing } from './missing.js';
import { type Finding, type InspectedSource, inspectDestination, requireFit } from './safety.js';

export interface DestinationRequest {
  readonly path: string;
  /** Write it although something speaks against it. */
  readonly force: boolean;
  /** The devices that the run reads; empty where the stream comes from elsewhere. */
  readonly members: readonly SourceMember[];
  readonly command: string;
  /** The allowed kinds of first bytes of a copy of the source; default: nothing that is looked for. */
  readonly headKinds?: InspectedSource['headKinds'];
  /** Bytes that it has to hold, where they are known: for the words where there is none. */
  readonly size?: number | undefined;
  /** What helps where there is none; default: to make it, and to copy everything to it first. */
  readonly ifMissing?: IfMissing;
  /** Names the set of streams of which this run receives one: the others write there, too. */
  readonly set?: string | undefined;
}

/** Receives doubts about the destination that do not forbid it. */
export type Listener = Pick<Reporter, 'warn' | 'verbose'>;

/** Open and claimed; whoever opened it closes it. */
export interface Destination {
  readonly device: FileDevice;
  close(): Promise<void>;
}

/**
 * Nothing is written here. Throws (locked) if another run of ours has it, (destinationUnfit) if it
 * must not be written.
 */
export async function openDestination(
  request: DestinationRequest,
  reporter: Reporter,
): Promise<Destination> {
  const { path, command, set } = request;
  // Looked at first, so that a refusal can say more than "in use".
  const seen = await openToCheck(request);
  let lock: RunLock | undefined;
  try {
    lock = await acquireRunLock(lockKey(seen.identity), { path, command, set });
    report(await inspect(seen, request, reporter, lock), request, reporter);
    const device = await openForWriting(request, lock);
    refuseSwapped(seen, device);
    if (device.info.directError !== null) {
      reporter.verbose(
        `${path}: written through the page cache, O_DIRECT is refused (${device.info.directError})`,
      );
    }
    const held = lock;
    return {
      device,
      close: async () => {
        try {
          await device.close();
        } finally {
          held.release();
        }
      },
    };
  } catch (error) {
    lock?.release();
    throw error;
  } finally {
    await seen.close();
  }
}

/**
 * The same checks, and throws the same, without a claim that lasts or a descriptor that could write: what
 * is returned is open for reading.
 */
export async function openForDryRun(
  request: DestinationRequest,
  reporter: Listener,
): Promise<Destination> {
  const { path, force } = request;
  const device = await openSeen(request);
  try {
    requireUnlocked(lockKey(device.identity), { path });
    report(await inspect(device, request, reporter), request, reporter);
    requireWritable(path);
    if (!force)
      await (await FileDevice.open(path, { role: 'destination', exclusive: true })).close();
    return { device, close: () => device.close() };
  } catch (error) {
    await device.close();
    throw error;
  }
}

/**
 * The same checks for a destination that another process is going to open. Nothing is claimed. Throws
 * (destinationUnfit) if it must not be written.
 */
export async function checkDestination(
  request: DestinationRequest,
  reporter: Reporter,
): Promise<void> {
  const seen = await FileDevice.open(request.path, { role: 'destination' });
  try {
    report(await inspect(seen, request, reporter), request, reporter);
  } finally {
    await seen.close();
  }
}

/** The sizes that a destination is measured by, in bytes. */
export interface SizeNeeded {
  /** The size that it has to have in the end. */
  readonly sourceSize: number;
  /** The size that it has to have already: the rest is not sent. */
  readonly copySize: number;
  /** It is a snapback that is to be applied. */
  readonly isUndo?: boolean;
}

/**
 * The size in bytes that the destination has to have before the first byte is written: it must hold
 * all of the source. A regular file grows where the source did, if it holds all that is not sent; anything
 * else that is smaller is refused unless `allowSmaller`. Changes nothing.
 */
export function planSize(
  device: FileDevice,
  needed: SizeNeeded,
  options: {
    readonly allowSmaller: boolean;
    /** It is a turn of a chain; `first` begins that with a full copy. */
    readonly turn?: Turn | undefined;
    readonly reporter: Reporter;
  },
): number {
  const { sourceSize, copySize } = needed;
  if (device.size >= sourceSize) return device.size;
  if (options.allowSmaller) {
    const sizes = compareSizes(device.size, sourceSize);
    options.reporter.warn(`${device.path}: ${sizes}; changes beyond its end are left out`);
    return device.size;
  }
  if (device.info.blockDevice) {
    throw tooSmall(device, { sourceSize, turn: options.turn });
  }
  if (device.size < copySize) {
    if (needed.isUndo) throw changedSize(device, copySize);
    throw tooShort(device, { copySize, turn: options.turn });
  }
  return sourceSize;
}

type Turn = 'first' | 'next';

interface Measured {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
}

/** A block that is not in the list of changes is not sent, so it has to be in the copy already. */
export function tooShort(
  { path, size }: Measured,
  { copySize, turn }: { readonly copySize: number; readonly turn?: Turn | undefined },
): LvmsyncError {
  const message = `${path}: too short to be a copy: it has ${exactSize(size)}, the source had ${exactSize(copySize)}`;
  return new LvmsyncError('destinationUnfit', message, {
    ...UNTOUCHED,
    hint:
      turn === undefined
        ? 'Make a full copy first, with dd from the snapshot: a sync sends only the changes.'
        : 'Start a new history with --init --force, which copies everything: a cycle run sends only the changes.',
  });
}

function changedSize({ path, size }: Measured, formerSize: number): LvmsyncError {
  const message = `${path}: too short: it has ${exactSize(size)}, but had ${exactSize(formerSize)} when the snapback was made`;
  return new LvmsyncError('destinationUnfit', message, {
    ...UNTOUCHED,
    hint: 'Does the snapback belong to this file? "lvmsync inspect" shows the file it was made for.',
  });
}

export function tooSmall(
  { path, size }: Measured,
  { sourceSize, turn }: { readonly sourceSize: number; readonly turn?: Turn | undefined },
): LvmsyncError {
  const message = `${path}: too small: ${compareSizes(size, sourceSize)}`;
  return new LvmsyncError('destinationUnfit', message, {
    ...UNTOUCHED,
    hint: hintToEnlarge(turn),
  });
}

/** A chain leads from whole states to whole states, and once it has begun it knows the former size. */
function hintToEnlarge(turn: Turn | undefined): string {
  switch (turn) {
    case undefined:
      return 'Enlarge it, or use --allow-smaller to write what fits.';
    case 'first':
      return 'Enlarge it, then run the same command again.';
    case 'next':
      return 'Enlarge it, then use --force for one cycle run: the chain recorded its previous size.';
  }
}

function compareSizes(held: number, needed: number): string {
  return `it has ${exactSize(held)}, the source ${exactSize(needed)}`;
}

/** Milliseconds that one of a set may take from holding the kernel's claim to saying so. */
const FELLOW_PATIENCE = 5000;
const FELLOW_PAUSE = 10;

/**
 * With the kernel's claim on it, unless it is forced. Of a set of streams one receiver has that claim
 * and has said so; anybody else who has it is refused as ever.
 */
async function openForWriting(
  { path, force, set }: DestinationRequest,
  lock: RunLock,
): Promise<FileDevice> {
  const shared = { role: 'destination', write: true } as const;
  if (force) return FileDevice.open(path, shared);
  const deadline = performance.now() + FELLOW_PATIENCE;
  for (;;) {
    try {
      const device = await FileDevice.open(path, { ...shared, exclusive: true });
      if (set !== undefined) lock.noteKernelClaim();
      return device;
    } catch (error) {
      const siblings = isClaimed(error) ? lock.siblings() : [];
      if (siblings.some(({ hasKernelClaim }) => hasKernelClaim)) break;
      if (siblings.length === 0 || performance.now() > deadline) throw error;
    }
    await sleep(FELLOW_PAUSE);
  }
  return FileDevice.open(path, shared);
}

/** EBUSY of O_EXCL, EAGAIN of flock. */
function isClaimed(error: unknown): boolean {
  if (!(error instanceof LvmsyncError) || !isNativeError(error.cause)) return false;
  return ['EBUSY', 'EAGAIN'].includes(error.cause.code);
}

async function inspect(
  device: FileDevice,
  request: DestinationRequest,
  listener: Listener,
  lock?: RunLock,
): Promise<Finding[]> {
  const { members, headKinds = [] } = request;
  const target = {
    path: device.path,
    identity: device.identity,
    readOnly: device.info.readOnly,
    readHeadKind: () => headKindOf(device),
  };
  if (device.identity.kind === 'block') await refuseMergeInto(device.identity.device, listener);
  const siblings = (): number[] => lock?.siblings().map(({ pid }) => pid) ?? [];
  const effects = { dmTable: readMappedTable, siblings };
  return inspectDestination(target, { members, headKinds }, effects);
}

function report(
  findings: readonly Finding[],
  { force }: DestinationRequest,
  reporter: Listener,
): void {
  for (const { severity, message } of requireFit(findings, { force })) {
    if (severity === 'note') reporter.verbose(message);
    else reporter.warn(message);
  }
}

function refuseSwapped(seen: FileDevice, device: FileDevice): void {
  const [before, now] = [seen.identity, device.identity].map((identity) =>
    JSON.stringify(identity),
  );
  if (before === now) return;
  throw new LvmsyncError(
    'destinationUnfit',
    `${device.path}: another device took this name during the checks`,
  );
}
