/** `lvmsync --apply FILE|- DESTINATION`: writes a change stream or snapback to a device. */

import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { isatty } from 'node:tty';
import { EXIT, LvmsyncError } from '../base/errors.js';
import { CopyOwner } from '../chain/copy-owner.js';
import { requireCountedParts } from '../chain/counted-file.js';
import { chainMembers } from '../chain/directory.js';
import { pruneChain } from '../chain/prune.js';
import { stepOf } from '../chain/step.js';
import { ChainTurn } from '../chain/turn.js';
import type { ApplyCommand } from '../cli/command.js';
import {
  lookAtDestination,
  openDestination,
  planSize,
  type SizeNeeded,
} from '../destination/open-destination.js';
import { refuseOwnSource } from '../destination/own-source.js';
import { refuseOtherTarget } from '../destination/undo-target.js';
import { type FileDevice, SlabPool } from '../device/block-device.js';
import type { SourceMember } from '../device/relation.js';
import { selectEngine } from '../device/select-engine.js';
import { type DeviceIdentity, identityFromStat } from '../device/topology.js';
import { hasLz4 } from '../host/addon.js';
import { refuseSharedBlocks } from '../lvm/unzeroed-blocks.js';
import { findWriteRules, type WriteRules } from '../lvm/write-rules.js';
import { APPLY_DEPTH, apply } from '../pipeline/apply.js';
import { Snapback, type SnapbackOptions } from '../pipeline/snapback.js';
import { WriteStage } from '../pipeline/write-stage.js';
import { signOfLife, ticking } from '../remote/sign-of-life.js';
import type { RunContext } from '../run/context.js';
import { describeFailure, interrupted } from '../run/interruption.js';
import type { Progress } from '../run/progress.js';
import type { Reporter } from '../run/reporter.js';
import { DISCARD_FEATURE, formatAnswer, LZ4_FEATURE } from '../stream/answer-lines.js';
import { ChangeReader, GROUP_SLAB_SIZE, type StreamForm } from '../stream/change-reader.js';
import { DRY_RUN, type Hello, type SetPlace } from '../stream/control-frame.js';
import { copySizeOf, parseSize } from '../stream/copy-size.js';
import { nameAdvice, snapbackFacts } from '../stream/device-facts.js';
import { whatWasLeft } from './outcome.js';

const STDIN = 0;

interface Input {
  readonly fd: number;
  readonly name: string;
  /** Undefined for a pipe. */
  readonly identity: DeviceIdentity | undefined;
}

export async function runApply(command: ApplyCommand, context: RunContext): Promise<number> {
  const input = openInput(command.input);
  const reader = new ChangeReader(input.fd, input.name);
  try {
    selectEngine(context);
    const stop = (): void => reader.cancel();
    context.signal.addEventListener('abort', stop);
    const form = await reader.readForm();
    const isTurn = command.chain !== undefined;
    if (form.form === 'classic' && form.empty && !isTurn) return applyNothing(input, context);
    const stream = { reader, form, identity: input.identity };
    return await answering(stream, context, () => applyStream(stream, command, context));
  } catch (error) {
    if (context.signal.aborted && !(error instanceof LvmsyncError)) {
      throw interrupted(context.signal, { state: 'Nothing was written.' });
    }
    throw error;
  } finally {
    await reader.close();
    if (input.fd !== STDIN) closeSync(input.fd);
  }
}

function openInput(path: string): Input {
  if (path === '-') {
    if (isatty(STDIN)) {
      throw new LvmsyncError('usage', 'standard input is a terminal: a change stream is expected');
    }
    return { fd: STDIN, name: 'standard input', identity: identityOf(STDIN) };
  }
  try {
    // Opening a fifo would block until it has a writer, and no signal could end that.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(fd).isDirectory()) return { fd, name: path, identity: identityOf(fd) };
    closeSync(fd);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : error;
    throw new LvmsyncError('usage', `${path}: cannot open the changes file (${code})`, {
      cause: error,
    });
  }
  throw new LvmsyncError('usage', `${path}: this is a directory, a changes file is expected`);
}

function identityOf(fd: number): DeviceIdentity | undefined {
  return identityFromStat(fstatSync(fd, { bigint: true }));
}

/** A handshake and nothing else: an old sender that found no change, or one that died at once. */
function applyNothing({ name, identity }: Input, { reporter }: RunContext): number {
  if (identity !== undefined) {
    throw new LvmsyncError(
      'streamTruncated',
      `${name}: it holds no change at all, not even its end`,
    );
  }
  reporter.warn(`${name}: no changes arrived; whether there were none the stream does not tell`);
  return EXIT.done;
}

interface Stream {
  readonly reader: ChangeReader;
  readonly form: StreamForm;
  readonly identity: DeviceIdentity | undefined;
}

/** Runs the work; where the sender understands it, tells it of a failure before that ends the run. */
async function answering(
  { form }: Stream,
  context: RunContext,
  work: () => Promise<number>,
): Promise<number> {
  try {
    return await work();
  } catch (error) {
    const streamId = answeredStream(form);
    if (streamId !== undefined && error instanceof LvmsyncError) {
      const { exitStatus, message } = error;
      context.answer(formatAnswer({ kind: 'failed', streamId, exitStatus, message }));
    }
    throw error;
  }
}

/** Only a stream of kind wire has a sender that waits; its id in hexadecimal. */
function answeredStream(form: StreamForm): string | undefined {
  if (form.form !== 'framed' || form.hello.kind !== 'wire') return undefined;
  return Buffer.from(form.hello.streamId).toString('hex');
}

/** Who tells of the progress and of the end: the sender that started us, or what writes into our pipe. */
function tellerOf({ form, identity }: Stream): Progress['toldBy'] {
  if (answeredStream(form) !== undefined) return 'sender';
  return identity === undefined ? 'pipe' : undefined;
}

/** Where a stream stands among those that come with it; undefined if it comes alone. */
function placeOf(form: StreamForm): SetPlace | undefined {
  if (form.form !== 'framed' || form.hello.kind !== 'wire') return undefined;
  const { setId, streamIndex, streamCount } = form.hello;
  return streamCount > 1 ? { setId, streamIndex, streamCount } : undefined;
}

function setOf(form: StreamForm): string | undefined {
  const place = placeOf(form);
  return place && Buffer.from(place.setId).toString('hex');
}

function helloOf(form: StreamForm): Hello | undefined {
  return form.form === 'framed' ? form.hello : undefined;
}

/** A sender may ask for a dry run, too. */
function isRehearsal({ form }: Stream, { dryRun }: ApplyCommand): boolean {
  if (dryRun) return true;
  return form.form === 'framed' && form.hello.attributes.question === DRY_RUN;
}

async function applyStream(
  stream: Stream,
  command: ApplyCommand,
  context: RunContext,
): Promise<number> {
  const { form } = stream;
  const dryRun = isRehearsal(stream, command);
  const { reporter } = context;
  const { destination: path, force, allowSmaller } = command;
  const step = command.chain && stepOf(form, stream.reader.name);
  const set = setOf(form);
  const members = [...inputMembers(stream), ...chainMembers(command.chain?.directory)];
  const request = { path, members, force, command: context.command, set };
  const open = dryRun ? lookAtDestination : openDestination;
  const destination = await open(request, reporter);
  let turn: ChainTurn | undefined;
  try {
    const { device } = destination;
    let { size } = device;
    if (form.form === 'framed') {
      if (!force) {
        await refuseOtherTarget(form.hello, stream.reader.name, device);
        await requireCountedParts(command.input, form.hello, context.signal);
      }
      await refuseOwnSource(form.hello, device);
      const rules = { allowSmaller, isTurn: command.chain !== undefined, reporter };
      size = planSize(device, sizeNeeded(form.hello), rules);
    }
    const owner = await CopyOwner.find(device, context);
    if (command.chain && step) {
      const about = { step, device, owner, force };
      turn = dryRun
        ? await ChainTurn.look(command.chain, about)
        : await ChainTurn.open(command.chain, { ...about, command: context.command });
      const advice = command.chain.init ? await nameAdvice(device) : undefined;
      if (advice !== undefined) reporter.warn(advice);
    } else owner.warnOfChain(undefined, helloOf(form));
    if (dryRun) {
      return await rehearse(stream, { device, size, turn, owner }, { command, context });
    }
    stream.reader.begin(form, { deviceSize: size, strict: !force });
    const target = { device, size, turn, owner };
    const status = await writeStream(stream, target, { command, context });
    tellOfOtherParts(stream, reporter);
    return status;
  } finally {
    turn?.close();
    await destination.close();
  }
}

const CHANGES_FILE = 'the changes file';

/** What must not be written while it is read. */
function inputMembers({ identity }: Stream): SourceMember[] {
  return identity === undefined ? [] : [{ identity, role: CHANGES_FILE }];
}

function sizeNeeded(hello: Hello): SizeNeeded {
  const isUndo = hello.kind === 'snapback';
  return { sourceSize: hello.deviceSize, copySize: copySizeOf(hello), isUndo };
}

async function rehearse(
  stream: Stream,
  target: Target,
  { command, context }: { readonly command: ApplyCommand; readonly context: RunContext },
): Promise<number> {
  const { tellOfApply } = await import('./dry-apply.js');
  const rules = await findWriteRules(target.device);
  const snapback = await snapbackOptions(command, stream, { ...target, rules, context });
  const streamId = answeredStream(stream.form);
  const answer = (): void => {
    if (streamId !== undefined) context.answer(formatReady(streamId));
  };
  return tellOfApply({ command, ...target, snapback, answer }, context);
}

function formatReady(streamId: string): string {
  const features = [DISCARD_FEATURE, ...(hasLz4() ? [LZ4_FEATURE] : [])];
  return formatAnswer({ kind: 'ready', streamId, features });
}

function tellOfOtherParts({ form, reader }: Stream, reporter: Reporter): void {
  if (form.form !== 'framed' || form.hello.kind !== 'snapback') return;
  const { streamIndex, streamCount, attributes } = form.hello;
  if (attributes.countedLink !== undefined) {
    reporter.info(
      `${reader.name}: it undoes its run only together with snapback ${attributes.countedLink}: apply that one after it`,
    );
  }
  if (streamCount === 1) return;
  reporter.info(
    `${reader.name}: this was snapback ${streamIndex} of ${streamCount} of its run; the others undo the rest of it`,
  );
}

interface Target {
  readonly device: FileDevice;
  /** Bytes: what it has, or has to grow to. */
  readonly size: number;
  /** Of a chain; the caller closes it. */
  readonly turn: ChainTurn | undefined;
  readonly owner: CopyOwner;
}

async function writeStream(
  stream: Stream,
  target: Target,
  { command, context }: { readonly command: ApplyCommand; readonly context: RunContext },
): Promise<number> {
  const { reader, form } = stream;
  const { device, size, turn, owner } = target;
  const { reporter, signal } = context;
  const rules = await findWriteRules(device);
  if (placeOf(form) !== undefined) refuseSharedBlocks(rules.unzeroed, device.path);
  const options = await snapbackOptions(command, stream, { ...target, rules, context });
  const snapback = options && (await Snapback.create(options));
  // One slab is being filled while each group under way holds one for itself and one for its past.
  const pool = new SlabPool(2 * APPLY_DEPTH + 1, GROUP_SLAB_SIZE);
  const undoes = helloOf(form);
  const announce = (): void => {
    if (turn !== undefined) return;
    owner.announceOther({ undo: snapback?.streamId ?? null, set: setOf(form), undoes });
  };
  const stage = new WriteStage(device, snapback, pool, { ...rules, announce });
  const totalBytes = form.form === 'framed' ? form.hello.totalBytes : undefined;
  const disjoint = form.form === 'framed' || !(command.force || form.leftover);
  const streamId = answeredStream(form);
  const toldBy = tellerOf(stream);
  const tick = workSign(form, context);
  const onProgress = (doneBytes: number): void => {
    tick();
    reporter.progress({ activity: 'Applying', doneBytes, totalBytes, toldBy });
  };
  const started = performance.now();
  try {
    const grow = async (): Promise<void> => {
      turn?.begin(snapback);
      if (size === device.size) return;
      announce();
      // It knows the former size.
      snapback?.keep();
      await device.resize(size);
    };
    // Of several streams no data come before all are ready: until then each sees the former size. A
    // turn of a chain that ends before its data come has not begun.
    const waits = turn !== undefined || placeOf(form) !== undefined;
    const onFirstGroup = waits ? grow : undefined;
    if (!waits) await grow();
    if (streamId !== undefined) {
      context.answer(formatReady(streamId));
    }
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
    await undoGrowth(form, device);
    await turn?.commit(device);
    if (turn === undefined) owner.settle(isWholeUndo(reader, leftOut) ? undoes : undefined);
    const seconds = (performance.now() - started) / 1000;
    const sourceSize = form.form === 'framed' ? form.hello.deviceSize : undefined;
    // What writes into a pipe says these lines itself.
    const pipe = stream.identity === undefined ? 'pipe' : undefined;
    reporter.transferred({ bytes: stage.writtenBytes, seconds, sourceSize }, pipe);
    const status = conclude({ reader, leftOut, device }, command, context);
    if (streamId !== undefined) {
      context.answer(formatAnswer({ kind: 'done', streamId, ...reader.counts }));
    }
    // Of a long chain this takes a while: the sender knows by now that its turn is complete.
    if (turn !== undefined) await pruneChain(turn, reporter);
    return status;
  } catch (error) {
    const kept = { snapback: snapback?.path, chain: command.chain?.directory };
    const left = { stage, destination: device.path, totalBytes, ...kept };
    throw describeFailure(error, whatWasLeft(left));
  } finally {
    snapback?.close();
  }
}

/** What was read at different moments is no point. */
function refuseMixture({ name, end }: ChangeReader): void {
  if (!end.sourceChanged) return;
  throw new LvmsyncError('sourceUnfit', `${name}: its source was written while it was read`);
}

/** A group that is torn may have been damaged later, and then undoes less than was done. */
function isWholeUndo({ end: { tornTail, droppedBytes } }: ChangeReader, leftOut: number): boolean {
  return tornTail === undefined && droppedBytes + leftOut === 0;
}

/** Of what is in its place still: a file that a run made larger has its former size again. */
async function undoGrowth(form: StreamForm, device: FileDevice): Promise<void> {
  device.requireInPlace();
  if (form.form !== 'framed' || form.hello.kind !== 'snapback') return;
  const formerSize = parseSize(form.hello.attributes.formerSize);
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
      `${tornTail.message}: this is where its run was interrupted; nothing after it had been overwritten`,
    );
  }
  if (sourceChanged) {
    const { name } = result.reader;
    reporter.warn(`${name}: its source was written while it was read: a mixture of moments`);
  }
  const dropped = droppedBytes + result.leftOut;
  if (dropped === 0) return EXIT.done;
  reporter.warn(`${result.device.path}: ${dropped} bytes beyond its end were left out`);
  return allowSmaller ? EXIT.done : EXIT.partlyBeyondEnd;
}

async function snapbackOptions(
  { snapback, force }: ApplyCommand,
  stream: Stream,
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
  const { deviceSize, attributes } = await snapbackFacts(device, size);
  const place = placeOf(stream.form);
  const facts = { deviceSize, attributes: { ...attributes, ...turn?.linkAttributes }, place };
  const roomFor = force ? undefined : mostSaved(stream.form, rules);
  const overwrite = snapback?.overwrite === true;
  const onGroup = workSign(stream.form, context);
  const { signal, reporter } = context;
  const onLost = ({ message }: LvmsyncError): void =>
    reporter.warn(`${message}: this turn cannot be undone later`);
  const saved = await turn?.savedBefore({ device, signal, onGroup, onLost });
  return { path, overwrite, facts, sorted: false, inUse, roomFor, saved, signal };
}

/** Bytes; undefined where the stream does not tell. Zeros come as discards, and most of them change nothing. */
function mostSaved(form: StreamForm, { mostData }: WriteRules): number | undefined {
  if (form.form !== 'framed' || form.hello.totalBytes === undefined) return undefined;
  const { totalBytes, attributes } = form.hello;
  const zeroBytes = Math.min(parseSize(attributes.zeroBytes) ?? 0, totalBytes);
  return totalBytes - zeroBytes + Math.min(zeroBytes, mostData);
}

/** Tells the sender, if one waits for an answer, that the work goes on; to be called often. */
function workSign(form: StreamForm, context: RunContext): () => void {
  const streamId = answeredStream(form);
  if (streamId === undefined) return () => undefined;
  return signOfLife(() => context.answer(formatAnswer({ kind: 'busy', streamId })));
}
