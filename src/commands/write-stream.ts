/** Writes what arrives to a destination that was found to fit, and says what came of it. */

import { EXIT, type LvmsyncError } from '../base/errors.js';
import { counted } from '../base/text.js';
import type { CopyOwner } from '../chain/copy-owner.js';
import type { ChainTurn } from '../chain/turn.js';
import type { ApplyCommand } from '../cli/command.js';
import { type FileDevice, SlabPool } from '../device/block-device.js';
import { hasLz4 } from '../host/addon.js';
import { refuseSharedBlocks } from '../lvm/unzeroed-blocks.js';
import { findWriteRules, type WriteRules } from '../lvm/write-rules.js';
import { APPLY_DEPTH, apply } from '../pipeline/apply.js';
import { Snapback, type SnapbackOptions } from '../pipeline/snapback.js';
import { requireRoom } from '../pipeline/snapback-file.js';
import { WriteStage } from '../pipeline/write-stage.js';
import { signOfLife, ticking } from '../remote/sign-of-life.js';
import type { RunContext } from '../run/context.js';
import { interrupted } from '../run/interruption.js';
import {
  COMPARE_FEATURE,
  DISCARD_FEATURE,
  formatAnswer,
  LZ4_FEATURE,
} from '../stream/answer-lines.js';
import type { ChangeReader } from '../stream/change-reader.js';
import { GROUP_SLAB_SIZE } from '../stream/change-stream.js';
import type { Hello } from '../stream/control-frame.js';
import { parseSize } from '../stream/copy-size.js';
import { snapbackFacts } from '../stream/device-facts.js';
import { lostEnd } from '../stream/lost-end.js';
import { answerComparison } from './answer-comparison.js';
import { describeLeft, HalfUndoneError, MixtureError } from './outcome.js';
import { CHANGES_FILE, type ReceivedStream } from './received-stream.js';
import { pruneChain } from './report-pruned.js';

export interface Target {
  readonly device: FileDevice;
  /** Bytes: what it has, or has to grow to. */
  readonly size: number;
  /** The turn of a chain; the caller closes it. */
  readonly turn: ChainTurn | undefined;
  readonly owner: CopyOwner;
  /** It is the undo of a run that is known to have finished. */
  readonly isFinishedRun?: boolean;
}

/** Resolves with the status when everything is written durably. */
export async function writeStream(
  stream: ReceivedStream,
  target: Target,
  { command, context }: { readonly command: ApplyCommand; readonly context: RunContext },
): Promise<number> {
  const { reader, hello: undoes, totalBytes, answeredId: streamId } = stream;
  const { device, size, turn, owner, isFinishedRun = false } = target;
  const { reporter, signal } = context;
  const rules = await findWriteRules(device);
  if (stream.place !== undefined) refuseSharedBlocks(rules.unzeroed, device.path);
  const options = await snapbackOptions(command, stream, { ...target, rules, context });
  const snapback = options && (await Snapback.create(options));
  // One slab is being filled while each group under way holds one for itself and one for its past.
  const pool = new SlabPool(2 * APPLY_DEPTH + 1, GROUP_SLAB_SIZE);
  const announce = (): void => {
    if (turn !== undefined) return;
    owner.announceOther({ undo: snapback?.streamId ?? null, set: stream.set, undoes });
  };
  const tick = workSign(stream, context);
  const stage = new WriteStage(device, snapback, pool, { ...rules, announce, tick });
  // One group makes a whole new block zeros that another one may be about to look at.
  const isLookedAt = stream.asksForHashes && rules.unzeroed.length > 0;
  const disjoint = stream.isDisjoint(command) && !isLookedAt;
  const { toldBy } = stream;
  const onProgress = (doneBytes: number): void => {
    tick();
    reporter.progress({ activity: 'Applying', doneBytes, totalBytes, toldBy });
  };
  const started = performance.now();
  try {
    const grow = async (): Promise<void> => {
      await ticking(tick, async () => turn?.begin(snapback));
      if (size === device.size) return;
      announce();
      // It knows the former size.
      snapback?.keep();
      await device.resize(size);
    };
    // With several streams no data comes before all are ready: until then each sees the former size. A
    // turn of a chain that ends before its data come has not begun.
    const waits = turn !== undefined || stream.place !== undefined;
    const onFirstGroup = waits ? grow : undefined;
    if (!waits) await grow();
    stream.endWatch();
    await getReady(stream, device, { options, command, context });
    const writing = { stage, pool, destinationSize: size, disjoint };
    const job = { reader, ...writing, signal, onProgress, ...(onFirstGroup && { onFirstGroup }) };
    const leftOut = await apply(job);
    if (signal.aborted) {
      await device.sync();
      throw interrupted(signal);
    }
    if (turn !== undefined) {
      await grow();
      refuseMixture(reader);
    }
    await ticking(tick, () => stage.finish());
    await undoGrowth(undoes, device);
    await ticking(tick, async () => turn?.commit(device, stage.places));
    if (turn === undefined) settle(owner, stream, { leftOut, isFinishedRun });
    if (isFinishedRun && !command.force) refuseLostEnd(reader);
    const seconds = (performance.now() - started) / 1000;
    const sourceSize = undoes?.deviceSize;
    // The program that writes into a pipe reports these lines itself.
    const pipe = stream.identity === undefined ? 'pipe' : undefined;
    reporter.transferred({ bytes: stage.writtenBytes, seconds, sourceSize }, pipe);
    const status = conclude({ reader, leftOut, device }, command, context);
    if (streamId !== undefined) {
      context.answer(formatAnswer({ kind: 'done', streamId, ...reader.counts }));
    }
    // With a long chain this takes a while: the sender knows by now that its turn is complete.
    if (turn !== undefined) await pruneChain(turn, reporter);
    return status;
  } catch (error) {
    if (turn === undefined) await owner.interrupt();
    else await turn.interrupt(device, stage.places);
    const kept = { snapback: snapback?.path, chain: command.chain?.directory };
    throw describeLeft(error, { stage, destination: device.path, totalBytes, ...kept });
  } finally {
    snapback?.close();
  }
}

/** Where a sender waits it is told, and has the device compared if it asks for that. */
async function getReady(
  { answeredId: streamId, asksForHashes }: ReceivedStream,
  device: FileDevice,
  {
    options,
    command: { force },
    context,
  }: {
    readonly options: SnapbackOptions | undefined;
    readonly command: ApplyCommand;
    readonly context: RunContext;
  },
): Promise<void> {
  if (streamId === undefined) return;
  context.answer(formatReady(streamId));
  if (!asksForHashes) return;
  const roomFor = await answerComparison(streamId, device, context);
  if (options !== undefined && !force) requireRoom({ ...options, roomFor });
}

/** Data that was read at different moments is not a restore point. */
function refuseMixture({ name, end }: ChangeReader): void {
  if (!end.sourceChanged) return;
  throw new MixtureError(
    'sourceUnfit',
    `${name}: its source was written while it was read, so the data may be inconsistent`,
  );
}

/** Of standard input, whose end cannot be looked at before. */
function refuseLostEnd({ end: { tornTail } }: ChangeReader): void {
  if (tornTail === undefined) return;
  throw new HalfUndoneError('streamTruncated', lostEnd(tornTail).message);
}

/** A range that was left out was not undone. */
function settle(
  owner: CopyOwner,
  { reader: { end }, hello: undoes, place }: ReceivedStream,
  { leftOut, isFinishedRun }: { readonly leftOut: number; readonly isFinishedRun: boolean },
): void {
  const isWhole = end.droppedBytes + leftOut === 0;
  const torn = end.tornTail !== undefined;
  owner.settle(isWhole ? { undoes, torn, isFinishedRun, place } : { place });
}

/** Only for a file that is still in its place: if a run made it larger, it gets its former size again. */
async function undoGrowth(hello: Hello | undefined, device: FileDevice): Promise<void> {
  device.requireInPlace();
  if (hello?.kind !== 'snapback') return;
  const formerSize = parseSize(hello.attributes.formerSize);
  if (formerSize === undefined) return;
  if (device.info.blockDevice || formerSize >= device.size) return;
  await device.resize(formerSize);
  await device.sync();
}

function conclude(
  result: { readonly reader: ChangeReader; readonly leftOut: number; readonly device: FileDevice },
  { allowSmaller }: ApplyCommand,
  { reporter }: RunContext,
): number {
  const { tornTail, sourceChanged, droppedBytes } = result.reader.end;
  if (tornTail !== undefined) {
    reporter.info(
      `${tornTail.message}: if its run was interrupted at this point, it overwrote nothing after it; if the file was copied, check that all of it was`,
    );
  }
  if (sourceChanged) {
    const { name } = result.reader;
    reporter.warn(
      `${name}: its source was written while it was read, so the copy may be inconsistent`,
    );
  }
  const dropped = droppedBytes + result.leftOut;
  if (dropped === 0) return EXIT.done;
  const were = dropped === 1 ? 'was' : 'were';
  reporter.warn(
    `${result.device.path}: ${counted(dropped, 'byte')} beyond its end ${were} left out`,
  );
  return allowSmaller ? EXIT.done : EXIT.partlyBeyondEnd;
}

/** The options of the snapback that it keeps; undefined for none. */
export async function snapbackOptions(
  { snapback, force }: ApplyCommand,
  stream: ReceivedStream,
  {
    device,
    size,
    turn,
    rules,
    context,
  }: Target & { readonly rules: WriteRules; readonly context: RunContext },
): Promise<SnapbackOptions | undefined> {
  const path = turn === undefined ? snapback?.path : turn.snapbackPath();
  if (path === undefined) return undefined;
  const inUse = [
    { identity: device.identity, role: 'the destination' },
    { identity: stream.identity, role: CHANGES_FILE },
  ];
  const { deviceSize, attributes } = await snapbackFacts(device, size, stream.headKinds);
  const place = stream.place;
  const facts = { deviceSize, attributes: { ...attributes, ...turn?.linkAttributes }, place };
  const roomFor = force ? undefined : stream.mostSaved(rules);
  const overwrite = snapback?.overwrite === true;
  const onGroup = workSign(stream, context);
  const { signal, reporter } = context;
  const onLost = ({ message }: LvmsyncError): void =>
    reporter.warn(`${message}: it will not be possible to undo this cycle run`);
  const saved = await turn?.savedBefore({ device, signal, onGroup, onLost });
  const shares = turn === undefined ? 1 : (place?.streamCount ?? 1);
  return { path, overwrite, facts, sorted: false, inUse, roomFor, shares, saved, signal };
}

/** Tells the sender, if one waits for an answer, that the work goes on; to be called often. */
function workSign({ answeredId: streamId }: ReceivedStream, context: RunContext): () => void {
  if (streamId === undefined) return () => undefined;
  return signOfLife(() => context.answer(formatAnswer({ kind: 'busy', streamId })));
}

/** The answer to a sender that waits. */
export function formatReady(streamId: string): string {
  const features = [DISCARD_FEATURE, COMPARE_FEATURE, ...(hasLz4() ? [LZ4_FEATURE] : [])];
  return formatAnswer({ kind: 'ready', streamId, features });
}
