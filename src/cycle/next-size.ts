/** The size of the new snapshot of a turn, and what it remembers of those before it. */

import type { RunCommand } from '../host/subprocess.js';
import { readFreeRoom } from '../lvm/free-room.js';
import { askHost } from '../lvm/host-tools.js';
import type { CycleRequest } from './request.js';
import { type ChosenSize, chooseSize } from './snapshot-size.js';
import { type CycleStore, usesUpTo } from './stores.js';
import type { CycleOrigin, CycleSnapshot } from './volumes.js';

export interface NextSize {
  /** The options of lvcreate. */
  readonly size: readonly string[] | undefined;
  readonly uses: readonly number[];
  /** What `--size auto` took; undefined without it. */
  readonly chosen: ChosenSize | undefined;
}

export interface NextSnapshot {
  readonly origin: CycleOrigin;
  readonly command: Pick<CycleRequest, 'size'>;
  readonly stores: readonly CycleStore[];
  readonly turn: {
    readonly base: CycleSnapshot | undefined;
    readonly removeFirst: readonly CycleSnapshot[];
  };
}

/** `isRehearsed`: what is removed first is still there. Throws (sourceUnfit) where there is not enough room. */
export async function sizeOfNext(
  { origin, command, stores, turn }: NextSnapshot,
  { isRehearsed }: { readonly isRehearsed: boolean },
  run: RunCommand = askHost,
): Promise<NextSize> {
  const uses = usesUpTo(turn.base, stores);
  const { size } = command;
  if (size !== 'auto') return { size, uses, chosen: undefined };
  const room = await readFreeRoom(origin.vgName, run);
  const isGoing = ({ snapshot }: CycleStore): boolean =>
    isRehearsed && turn.removeFirst.some(({ uuid }) => uuid === snapshot.uuid);
  const free = stores.filter(isGoing).reduce((sum, store) => sum + store.size, room.free);
  const chosen = chooseSize(uses, origin.size, { ...room, free });
  return { size: ['--size', `${chosen.bytes}b`], uses, chosen };
}
