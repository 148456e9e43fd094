/** `lvmsync rollback DESTINATION [DIR]`: back to an older point of a chain, and forward again. */

import { join } from 'node:path';
import { EXIT, LvmsyncError, UNTOUCHED } from '../base/errors.js';
import { localTime } from '../base/local-time.js';
import { typedPath } from '../base/shell-words.js';
import { counted, escapeText, humanSize } from '../base/text.js';
import { noteAttempt } from '../chain/attempt.js';
import { checkLinks, type LinkWrites } from '../chain/check-links.js';
import { CopyOwner } from '../chain/copy-owner.js';
import { leftAt, placesOnly, putBack, spoilt } from '../chain/copy-verdict.js';
import {
  chainMembers,
  checkChainFree,
  describeDestination,
  lockChain,
  readChain,
  refuseMismatch,
  requireOwnDirectory,
  requireWritable,
  sourceKinds,
} from '../chain/directory.js';
import { withUndone } from '../chain/leftover.js';
import type { Link } from '../chain/link.js';
import { describeInexact } from '../chain/order.js';
import {
  type ChainRecord,
  isGoingBack,
  readRecord,
  type Undone,
  writeRecord,
} from '../chain/record.js';
import { describeChoice, describeWay, type RollbackTarget } from '../chain/rollback-plan.js';
import { checkRedo, createRedo, type RedoFacts } from '../chain/rollback-redo.js';
import { mixedPlaces, readSpots } from '../chain/spot-check.js';
import { undoLinks } from '../chain/undo-links.js';
import {
  makeUndoneFolder,
  moveBack,
  moveLinks,
  readUndone,
  refuseReplacing,
  removeUndoneFolder,
} from '../chain/undone.js';
import type { RollbackCommand } from '../cli/command.js';
import { openDestination, openForDryRun } from '../destination/open-destination.js';
import type { FileDevice } from '../device/block-device.js';
import { selectEngine } from '../device/select-engine.js';
import { writeMark } from '../device/write-mark.js';
import type { Snapback } from '../pipeline/snapback.js';
import type { RunContext } from '../run/context.js';
import { checkUnlessForced } from '../run/forced.js';
import { noChain, planIn, requireNamed } from './rollback-refusals.js';

export async function runRollback(command: RollbackCommand, context: RunContext): Promise<number> {
  selectEngine(context);
  const { destination: path, directory, force, dryRun } = command;
  requireNamed(directory);
  requireOwnDirectory(directory);
  const members = chainMembers(directory);
  const headKinds = await sourceKinds(directory);
  const request = { path, members, force, command: context.commandLine, headKinds };
  const open = dryRun ? openForDryRun : openDestination;
  const destination = await open(request, context.reporter);
  try {
    const lock = dryRun
      ? checkChainFree(directory)
      : await lockChain(directory, context.commandLine);
    try {
      const owner = await CopyOwner.find(destination.device, context);
      await new Rollback(command, context, { device: destination.device, owner }).run();
      return EXIT.done;
    } finally {
      lock.release();
    }
  } finally {
    await destination.close();
  }
}

/** The device is open, and locked with the chain where something is to be written. */
class Rollback {
  readonly #command: RollbackCommand;
  readonly #context: RunContext;
  readonly #device: FileDevice;
  readonly #owner: CopyOwner;

  constructor(
    command: RollbackCommand,
    context: RunContext,
    { device, owner }: { readonly device: FileDevice; readonly owner: CopyOwner },
  ) {
    this.#command = command;
    this.#context = context;
    this.#device = device;
    this.#owner = owner;
  }

  async run(): Promise<void> {
    const { directory, target } = this.#command;
    const { record, files } = await readChain(directory);
    if (record === undefined) throw noChain(directory);
    await this.#refuseOther(record);
    if (target === 'redo') return this.#redo(record);
    await this.#undo(record, files.links, target);
  }

  async #refuseOther(record: ChainRecord): Promise<void> {
    const { force, directory } = this.#command;
    const actual = await describeDestination(this.#device);
    const { reporter } = this.#context;
    await checkUnlessForced({ force, reporter }, () => refuseMismatch(record, actual));
    await this.#owner.requireOwn(record, directory, { force });
  }

  async #undo(record: ChainRecord, links: readonly Link[], target: RollbackTarget): Promise<void> {
    const { directory } = this.#command;
    const plan = planIn(directory, { record, links, target });
    if (plan.links.length === 0 && record.doing === null) {
      this.#say(
        `It already holds ${localTime(plan.to.time)} (${plan.to.uuid}): there is nothing to undo.`,
      );
      return;
    }
    const writes = await this.#check(plan.links, (link) => plan.complete.has(link));
    const size = humanSize(writes.bytes);
    this.#say(`${this.#device.path}: ${describeWay(plan, record)}`);
    if ('until' in target) this.#say(`  ${describeChoice(target, plan.to)}`);
    const { inexact } = plan;
    if (inexact !== undefined) {
      this.#context.reporter.warn(`${localTime(plan.to.time)}: ${describeInexact(inexact)}`);
    }
    const steps = plan.steps === 0 ? '' : `${counted(plan.steps, 'step')}, `;
    this.#say(`  ${steps}${counted(plan.links.length, 'snapback')}, ${size} to be written`);
    for (const { name } of plan.links) this.#say(`  ${name}`);
    const { force, dryRun } = this.#command;
    const facts: RedoFacts = {
      directory,
      device: this.#device,
      plan,
      begun: record.doing?.what === 'rollback' ? record.doing : undefined,
      roomFor: force ? undefined : writes.distinctBytes,
      signal: this.#context.signal,
      reporter: this.#context.reporter,
    };
    if (dryRun) await checkRedo(facts);
    else await this.#execute(record, facts, writes.bytes);
  }

  async #execute(record: ChainRecord, facts: RedoFacts, bytes: number): Promise<void> {
    const { directory, destination } = this.#command;
    const { plan, begun } = facts;
    if (begun !== undefined) await this.#spoilFormer(record, begun);
    const folder = begun?.folder ?? makeUndoneFolder(directory, this.#asFound(record));
    const snapback = await createRedo(facts, folder);
    let places: readonly number[];
    const undone = { folder, redo: snapback.streamId };
    const { to: point, last } = plan;
    const writer = this.#owner.newWriter();
    try {
      snapback.keep();
      const doing = { what: 'rollback', to: point, ...undone } as const;
      const left = placesOnly(record.left);
      const unfinished = { ...record, doing, undone: null, writer, left, attempt: undefined };
      writeRecord(directory, unfinished);
      this.#owner.announce(writer, directory);
      const isComplete = (link: Link): boolean => plan.complete.has(link);
      places = await this.#apply(plan.links, bytes, { snapback, unfinished, isComplete });
    } finally {
      snapback.close();
    }
    moveLinks(plan.links, join(directory, folder));
    const after = await describeDestination(this.#device);
    const mark = writeMark(this.#device);
    const spots = await readSpots(this.#device, mixedPlaces(places, record.left));
    const left = leftAt({ point, last }, { mark, spots });
    const { inexact } = plan;
    const reached = { destination: after, point, last, doing: null, undone, writer, left, inexact };
    writeRecord(directory, { ...record, ...reached, attempt: undefined });
    this.#owner.leave(mark);
    const { reporter } = this.#context;
    reporter.info(`${destination} holds ${localTime(point.time)} (${point.uuid})`);
    const words = [destination, directory].map((path) => typedPath(path, undefined)).join(' ');
    reporter.info(
      `To undo this rollback before the next cycle run: lvmsync rollback --redo ${words}`,
    );
    reporter.info(
      'To read a file system on it before that, mount it with ro,norecovery, or mount a snapshot of it: a normal mount writes to it, and that cannot be undone',
    );
  }

  /** As a rollback that is taken back leaves it: --force does not make a write of others undone. */
  #asFound(record: ChainRecord): ChainRecord {
    return this.#owner.wasWritten(record) ? spoilt(record) : record;
  }

  /** The same of a rollback that goes on: what the record of before says is no longer so. */
  async #spoilFormer(record: ChainRecord, begun: Undone): Promise<void> {
    if (!this.#owner.wasWritten(record)) return;
    const folder = join(this.#command.directory, begun.folder);
    const former = readRecord(folder);
    if (former !== undefined) writeRecord(folder, spoilt(former));
  }

  async #redo(record: ChainRecord): Promise<void> {
    const { directory, destination, dryRun } = this.#command;
    const { doing } = record;
    const undone = isGoingBack(doing) ? doing : record.undone;
    if (undone === null) {
      const why = 'the last operation was not a rollback';
      throw new LvmsyncError(
        'destinationUnfit',
        `${directory}: nothing to redo: ${why}`,
        UNTOUCHED,
      );
    }
    const { folder, redo } = undone;
    const path = join(directory, folder);
    const { former, links } = await readUndone(path, undone);
    // After a rollback that finished, the newest one has to be complete.
    const isComplete = ({ streamId }: Link): boolean => doing === null && streamId === redo;
    const { bytes } = await this.#check(links, isComplete);
    const point = former.point === null ? 'no restore point' : localTime(former.point.time);
    this.#say(`${this.#device.path}: forward again to ${point}, ${humanSize(bytes)} to be written`);
    refuseReplacing(path, directory);
    if (dryRun) return [directory, path].forEach(requireWritable);
    const writer = this.#owner.newWriter();
    const unfinished: ChainRecord = {
      ...record,
      doing: { what: 'redo', folder, redo },
      undone: null,
      writer,
      left: placesOnly(record.left),
      attempt: undefined,
    };
    writeRecord(directory, unfinished);
    this.#owner.announce(writer, directory);
    await this.#apply(links, bytes, { snapback: undefined, unfinished, isComplete });
    moveBack(path, directory);
    const { record: restored, mark } = putBack(former, { writer, mark: writeMark(this.#device) });
    // Named until it is gone: of a run that is cut off here it takes room.
    writeRecord(directory, {
      ...restored,
      leftover: withUndone(former.leftover, { folder, redo }),
    });
    this.#owner.leave(mark);
    removeUndoneFolder(path);
    writeRecord(directory, restored);
    this.#context.reporter.info(`${destination} holds ${point} again`);
  }

  async #check(links: readonly Link[], isComplete: (link: Link) => boolean): Promise<LinkWrites> {
    const destination = await describeDestination(this.#device);
    const { reporter, signal } = this.#context;
    const totalBytes = links.reduce((sum, { fileSize }) => sum + fileSize, 0);
    const onProgress = (doneBytes: number): void =>
      reporter.progress({ activity: 'Checking', doneBytes, totalBytes, isPreparation: true });
    const rules = { destination, device: this.#device, force: this.#command.force };
    return checkLinks(links, { ...rules, isComplete, onProgress, signal });
  }

  async #apply(
    links: readonly Link[],
    totalBytes: number,
    { snapback, unfinished, isComplete }: Going,
  ): Promise<readonly number[]> {
    const { reporter, signal } = this.#context;
    const onProgress = (doneBytes: number): void =>
      reporter.progress({ activity: 'Rolling back', doneBytes, totalBytes });
    try {
      const job = { links, isComplete, device: this.#device, snapback, signal, onProgress };
      return await undoLinks(job);
    } catch (error) {
      const { directory } = this.#command;
      const mark = await noteAttempt({ directory, record: unfinished }, this.#device, []);
      this.#owner.noteLeft(mark);
      throw error;
    }
  }

  /** The plan: to be read by a person, or under --dry-run all that there is. */
  #say(line: string): void {
    if (this.#command.dryRun) this.#context.print(`${escapeText(line)}\n`);
    else this.#context.reporter.info(line);
  }
}

interface Going {
  readonly snapback: Snapback | undefined;
  /** The record while it is under way. */
  readonly unfinished: ChainRecord;
  readonly isComplete: (link: Link) => boolean;
}
