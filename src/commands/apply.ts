/** `lvmsync --apply FILE|- DESTINATION`: writes a change stream or snapback to a device. */

import { EXIT, LvmsyncError, UNTOUCHED, withContext } from '../base/errors.js';
import { chainOf } from '../chain/copy-entry.js';
import { CopyOwner } from '../chain/copy-owner.js';
import { chainMembers, sourceKinds } from '../chain/directory.js';
import { linkFacts, requireWhole } from '../chain/neighbours.js';
import { requireAsked, stepOf } from '../chain/step.js';
import { ChainTurn } from '../chain/turn.js';
import type { ApplyCommand } from '../cli/command.js';
import { refuseSourceOfCycle } from '../cycle/source-of-cycle.js';
import type { IfMissing } from '../destination/missing.js';
import {
  openDestination,
  openForDryRun,
  planSize,
  type SizeNeeded,
} from '../destination/open-destination.js';
import { ownSource } from '../destination/own-source.js';
import { refuseOtherTarget } from '../destination/undo-target.js';
import { selectEngine } from '../device/select-engine.js';
import { isNativeError } from '../host/native.js';
import { findWriteRules } from '../lvm/write-rules.js';
import type { RunContext } from '../run/context.js';
import { checkUnlessForced } from '../run/forced.js';
import { interrupted } from '../run/interruption.js';
import type { Reporter } from '../run/reporter.js';
import { formatAnswer } from '../stream/answer-lines.js';
import { ChangeReader } from '../stream/change-reader.js';
import type { Hello } from '../stream/control-frame.js';
import { copySizeOf } from '../stream/copy-size.js';
import { nameAdvice } from '../stream/device-facts.js';
import { closeChanges, filePathOf, openChanges } from './apply-input.js';
import { ReceivedStream } from './received-stream.js';
import { watchSender } from './sender-watch.js';
import { formatReady, snapbackOptions, type Target, writeStream } from './write-stream.js';

export async function runApply(command: ApplyCommand, context: RunContext): Promise<number> {
  const input = openChanges(command.input);
  const reader = new ChangeReader(input.fd, input.name);
  try {
    selectEngine(context);
    const stop = (): void => reader.cancel();
    context.signal.addEventListener('abort', stop);
    const form = await readForm(reader, input.identity !== undefined);
    const isTurn = command.chain !== undefined;
    const stream = new ReceivedStream(reader, form, input.identity);
    if (stream.isEmpty && !isTurn) return applyNothing(stream, context);
    if (stream.answeredId !== undefined) stream.endWatch = watchSender();
    try {
      return await answering(stream, context, () => applyStream(stream, command, context));
    } finally {
      stream.endWatch();
    }
  } catch (error) {
    if (context.signal.aborted && !(error instanceof LvmsyncError)) {
      throw interrupted(context.signal, UNTOUCHED);
    }
    throw error;
  } finally {
    await reader.close();
    closeChanges(input);
  }
}

/** Nothing is opened before it. */
async function readForm(
  reader: ChangeReader,
  isFile: boolean,
): ReturnType<ChangeReader['readForm']> {
  try {
    return await reader.readForm();
  } catch (error) {
    if (!(error instanceof LvmsyncError)) throw error;
    const hint = isFile
      ? 'Check that it is the right file, and that it was copied whole: "lvmsync inspect FILE" shows what it holds.'
      : 'Look for the message of the sender.';
    throw withContext(error, isUnlikeStream(error) ? { ...UNTOUCHED, hint } : UNTOUCHED);
  }
}

/** Its bytes are to blame, not a failure to read or to decompress them. */
function isUnlikeStream({ code, cause }: LvmsyncError): boolean {
  if (code !== 'streamCorrupt' && code !== 'streamTruncated') return false;
  return !isNativeError(cause) || cause.code === 'CORRUPT' || cause.code === 'UNEXPECTED_END';
}

function applyNothing({ name, identity }: ReceivedStream, { reporter }: RunContext): number {
  if (identity !== undefined) {
    throw new LvmsyncError(
      'streamTruncated',
      `${name}: it holds only the first line of a change stream, no changes and no end mark: nothing changed, or its sender stopped`,
      UNTOUCHED,
    );
  }
  reporter.warn(`${name}: the stream is empty: either nothing changed or the sender failed`);
  return EXIT.done;
}

/** Runs the work; if the sender understands it, reports a failure to it before that ends the run. */
async function answering(
  stream: ReceivedStream,
  context: RunContext,
  work: () => Promise<number>,
): Promise<number> {
  try {
    return await work();
  } catch (error) {
    const streamId = stream.answeredId;
    if (streamId !== undefined && error instanceof LvmsyncError) {
      const { exitStatus, message } = error;
      context.answer(formatAnswer({ kind: 'failed', streamId, exitStatus, message }));
    }
    throw error;
  }
}

async function applyStream(
  stream: ReceivedStream,
  command: ApplyCommand,
  context: RunContext,
): Promise<number> {
  const { form, hello } = stream;
  const dryRun = command.dryRun === true || stream.asksForDryRun;
  const { reporter } = context;
  const { destination: path, force, allowSmaller } = command;
  const { chain } = command;
  const step = chain && stepOf(form, stream.name);
  if (step && chain.fetched !== undefined) {
    requireAsked({ form, step, name: stream.name }, chain.fetched);
  }
  const set = stream.set;
  const members = [
    ...stream.members,
    ...chainMembers(command.chain?.directory),
    ...(await ownSource(hello)),
  ];
  const size = hello?.deviceSize;
  const headKinds = [...stream.headKinds, ...(await sourceKinds(command.chain?.directory))];
  const ifMissing = adviceWhereMissing(command, hello);
  const about = { size, headKinds, ifMissing };
  const request = { path, members, force, command: context.commandLine, set, ...about };
  const open = dryRun ? openForDryRun : openDestination;
  const destination = await open(request, reporter);
  let turn: ChainTurn | undefined;
  try {
    const { device } = destination;
    let { size } = device;
    if (hello !== undefined) {
      const rules = { force, reporter };
      await checkUnlessForced(rules, () => refuseOtherTarget(hello, stream.name, device));
      size = planSize(device, sizeNeeded(hello), { allowSmaller, turn: turnOf(command), reporter });
    }
    const owner = await CopyOwner.find(device, context);
    const isUndo = hello?.kind === 'snapback';
    const undo = { owner, path: filePathOf(command.input, stream.identity) };
    const isFinishedRun = isUndo && (await requireUndo(hello, undo, { command, context }));
    if (command.chain?.init === true) {
      await checkUnlessForced({ force, reporter }, () => refuseSourceOfCycle(device, reporter));
    }
    if (command.chain && step) {
      const source = hello?.attributes.deviceIdentity;
      const { headKinds, place } = stream;
      const about = { step, source, headKinds, device, owner, force, reporter, place };
      turn = dryRun
        ? await ChainTurn.look(command.chain, about)
        : await ChainTurn.open(command.chain, { ...about, command: context.commandLine });
      const isFirst = stream.place === undefined || stream.place.streamIndex === 1;
      const advice = command.chain.init && isFirst ? await nameAdvice(device) : undefined;
      if (advice !== undefined) reporter.warn(advice);
    } else owner.warnOfChain(undefined, hello);
    if (dryRun) {
      return await runDry(stream, { device, size, turn, owner }, { command, context });
    }
    stream.reader.begin(form, { deviceSize: size, strict: !force });
    const target = { device, size, turn, owner, isFinishedRun };
    const status = await writeStream(stream, target, { command, context });
    reportOtherParts(stream, reporter);
    return status;
  } finally {
    turn?.close();
    await destination.close();
  }
}

/** Throws for a snapback that is not the next one to be undone, or not whole, unless that is forced. */
async function requireUndo(
  hello: Hello,
  { owner, path }: { readonly owner: CopyOwner; readonly path: string | undefined },
  { command, context }: { readonly command: ApplyCommand; readonly context: RunContext },
): Promise<boolean> {
  const rules = { force: command.force, reporter: context.reporter };
  const { entry } = owner;
  const about = { path, chain: chainOf(entry), undoneLast: entry?.undone?.[0] };
  const facts = await linkFacts(hello, about);
  const finished = facts.finished || owner.hasFinished(hello);
  if (path !== undefined) {
    const undo = { path, streamId: hello.streamId, countedBy: facts.countedBy, finished };
    await checkUnlessForced(rules, () => requireWhole(undo, context.signal));
  }
  await checkUnlessForced(rules, () => owner.requireNewest(hello, facts));
  return finished;
}

function turnOf({ chain }: ApplyCommand): 'first' | 'next' | undefined {
  if (chain === undefined) return undefined;
  return chain.init ? 'first' : 'next';
}

/** An undo and a further turn of a chain are for a copy that there is. */
function adviceWhereMissing(command: ApplyCommand, hello: Hello | undefined): IfMissing {
  const turn = turnOf(command);
  if (turn === 'first') return 'make';
  return turn === 'next' || hello?.kind === 'snapback' ? 'find' : 'makeAndCopy';
}

function sizeNeeded(hello: Hello): SizeNeeded {
  const isUndo = hello.kind === 'snapback';
  return { sourceSize: hello.deviceSize, copySize: copySizeOf(hello), isUndo };
}

async function runDry(
  stream: ReceivedStream,
  target: Target,
  { command, context }: { readonly command: ApplyCommand; readonly context: RunContext },
): Promise<number> {
  const { reportApply } = await import('./dry-apply.js');
  const rules = await findWriteRules(target.device);
  const snapback = await snapbackOptions(command, stream, { ...target, rules, context });
  const streamId = stream.answeredId;
  const answer = (): void => {
    if (streamId !== undefined) context.answer(formatReady(streamId));
  };
  const announced = stream.hello?.totalBytes;
  return reportApply({ command, ...target, announced, snapback, answer }, context);
}

function reportOtherParts({ name, hello }: ReceivedStream, reporter: Reporter): void {
  if (hello?.kind !== 'snapback') return;
  const { streamIndex, streamCount, attributes } = hello;
  if (attributes.countedLink !== undefined) {
    reporter.info(
      `${name}: this snapback undoes only a part of its run: apply snapback ${attributes.countedLink} next`,
    );
  }
  if (streamCount === 1) return;
  reporter.info(
    `${name}: this was snapback ${streamIndex} of ${streamCount} of its run; the others undo the rest: apply those that you have not applied yet`,
  );
}
