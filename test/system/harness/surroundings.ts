// Inside the guest, T20: carries a case out, step by step, and has each step judged.

import { readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { CliWorker, type Ended, runAlone } from './limited-run.js';
import { type Activity, type Case, isCyclic, isVerify } from './surroundings-case.js';
import {
  type Expectation,
  escapeOf,
  expectInit,
  expectSending,
  expectStep,
  type Observation,
} from './surroundings-oracle.js';
import { type Place, Places } from './surroundings-places.js';
import { type Scene, Sources } from './surroundings-sources.js';
import { shellForSsh, useOwnStateFolder } from './thin.js';
import { contentOf } from './whole-device.js';

interface Step {
  readonly words: readonly string[];
  /** That of the destination, where it has one. */
  readonly place?: Place;
  readonly expected: Expectation;
  /** What has to be in the destination; asked for before the run and after it. */
  readonly wanted?: () => Buffer;
  /** Or that, of before the step before. */
  readonly unchanged?: Buffer;
  readonly stdoutFile?: string;
  /** The activity of the case goes with this step. */
  readonly surrounded?: boolean;
}

/** Ends a case: what escaped, or that a step was refused as it may be. */
class CaseEnds extends Error {}

export class Surroundings {
  /** Done after each run, before it is judged: a control damages the destination here. */
  sabotage: (place: Place) => void = () => undefined;
  /** How many runs had status 0. */
  successes = 0;
  /** Most runs need no process of their own. */
  readonly worker = new CliWorker();
  readonly #sources: Sources;
  readonly #places: Places;
  readonly #shell = shellForSsh();

  constructor(random: Random) {
    useOwnStateFolder();
    this.#sources = new Sources(random);
    this.#places = new Places(random);
  }

  destroy(): void {
    this.worker.stop();
    this.#sources.destroy();
    this.#places.destroy();
  }

  /** Throws what escaped. */
  async carryOut(what: Case): Promise<void> {
    const scene = this.#sources.get(what.scene);
    const place = this.#places.get(what.place);
    // Each case is a world of its own.
    rmSync('/var/lib/lvmsync', { recursive: true, force: true });
    place.hold(scene.older);
    const run = new CaseRun(what, scene, place, this);
    let left: string | undefined;
    try {
      await run.steps(this.#shell);
    } catch (error) {
      if (!(error instanceof CaseEnds)) {
        // The laboratory itself failed, and left what nobody knows.
        scene.spent = true;
        throw error;
      }
      if (error.message !== '') throw new Error(error.message);
    } finally {
      place.release();
      left = scene.endCase(isCyclic(what.command));
    }
    if (left !== undefined) throw new Error(left);
  }
}

/** One case. */
class CaseRun {
  readonly #what: Case;
  readonly #scene: Scene;
  readonly #place: Place;
  readonly #laboratory: Surroundings;
  readonly #folder = scratchFolder();

  constructor(what: Case, scene: Scene, place: Place, laboratory: Surroundings) {
    this.#what = what;
    this.#scene = scene;
    this.#place = place;
    this.#laboratory = laboratory;
  }

  async steps(shell: readonly string[]): Promise<void> {
    try {
      switch (this.#what.command) {
        case 'sync':
          return await this.#send([]);
        case 'sync to a remote host':
          return await this.#send(shell, 'host:');
        case 'stdout, then apply':
          return await this.#pass();
        case 'undo':
          return await this.#undo();
        case 'repair':
          return await this.#repair();
        case 'cycle turn':
        case 'rollback':
        case 'redo':
          return await this.#cycle();
        default:
          return await this.#verify();
      }
    } finally {
      rmSync(this.#folder, { recursive: true });
    }
  }

  async #send(options: readonly string[], host = ''): Promise<void> {
    this.#change(this.#scene.older);
    await this.#step(() => ({
      words: [...options, ...this.#source(), `${host}${this.#place.path}`],
      ...{ place: this.#place, wanted: this.#wanted, surrounded: true },
      expected: expectSending(this.#what, true),
    }));
  }

  async #pass(): Promise<void> {
    const stdoutFile = `${this.#folder}/changes`;
    const expected = expectSending(
      { ...this.#what, change: 'grown', place: 'linear volume' },
      true,
    );
    // What happens just after the first run is over changes nothing in its stream.
    const unchanged = this.#wanted();
    await this.#step(() => ({
      words: ['--stdout', ...this.#source()],
      stdoutFile,
      expected,
      surrounded: true,
    }));
    this.#change(this.#scene.older);
    const { path } = this.#place;
    await this.#step(() => ({
      words: ['--apply', stdoutFile, path],
      ...{ place: this.#place, wanted: this.#wanted, unchanged },
      expected: expectSending(this.#what, true),
    }));
  }

  async #verify(): Promise<void> {
    const { command, flawed } = this.#what;
    const wanted = this.#wanted();
    this.#place.hold(wanted);
    if (flawed) this.#spoil(wanted);
    this.#change(wanted);
    const full = command === 'verify --full' ? ['--full'] : [];
    const healthy = expectSending(this.#what, true);
    await this.#step(() => ({
      words: ['verify', ...full, ...this.#source(), this.#place.path],
      ...{ place: this.#place, wanted: this.#wanted, surrounded: true },
      expected: { ...healthy, equal: true },
    }));
  }

  async #repair(): Promise<void> {
    const wanted = this.#wanted();
    this.#place.hold(wanted);
    this.#spoil(wanted);
    this.#change(wanted);
    await this.#step(() => ({
      words: ['verify', '--repair', ...this.#source(), this.#place.path],
      ...{ place: this.#place, wanted: this.#wanted, surrounded: true },
      expected: expectSending(this.#what, true),
    }));
  }

  async #undo(): Promise<void> {
    const snapback = `${this.#folder}/undo`;
    const former = contentOf(this.#place.path);
    await this.#step(() => ({
      words: ['--snapback', snapback, ...this.#source(), this.#place.path],
      ...{ place: this.#place, wanted: this.#wanted, surrounded: true },
      expected: expectSending(this.#what, false),
    }));
    this.#change(former, snapback);
    await this.#step(() => ({
      words: ['--apply', snapback, this.#place.path],
      ...{ place: this.#place, wanted: () => former, expected: expectStep(this.#what, false) },
    }));
  }

  async #cycle(): Promise<void> {
    const { command } = this.#what;
    await this.#step(() => this.#turn(['--init'], expectInit(), false));
    const former = contentOf(this.#place.path);
    this.#scene.write(12);
    const isLast = command === 'cycle turn';
    if (isLast) this.#change(former);
    const changed = isLast ? this.#what : { ...this.#what, change: 'none' as const };
    await this.#step(() => this.#turn([], expectStep(changed, true), true));
    if (isLast) return;
    const latter = contentOf(this.#place.path);
    await this.#goBack(['--steps', '1'], former, command === 'rollback');
    if (command === 'redo') await this.#goBack(['--redo'], latter, true);
  }

  /** `isLast`: the step that the case is about. */
  async #goBack(way: readonly string[], wanted: Buffer, isLast: boolean): Promise<void> {
    const chain = `${this.#folder}/chain`;
    const what = isLast ? this.#what : { ...this.#what, change: 'none' as const };
    if (isLast) this.#change(wanted, linkIn(chain));
    await this.#step(() => ({
      words: ['rollback', ...way, this.#place.path, chain],
      ...{ place: this.#place, wanted: () => wanted, expected: expectStep(what, false) },
    }));
  }

  #turn(options: readonly string[], expected: Expectation, surrounded: boolean): Step {
    const size = this.#what.scene.kind === 'thick' ? ['--size', '150%'] : [];
    const chain = `${this.#folder}/chain`;
    return {
      words: [
        'cycle',
        this.#scene.volume,
        this.#place.path,
        '--snapback',
        chain,
        ...size,
        ...options,
      ],
      ...{ place: this.#place, wanted: this.#wanted, expected, surrounded },
    };
  }

  #source(): string[] {
    return this.#scene.words(this.#what.reads);
  }

  readonly #wanted = (): Buffer => contentOf(this.#scene.dataDevice(this.#what.reads));

  /** `undo`: the file that leads back. */
  #change(former: Buffer, undo = ''): void {
    const { change } = this.#what;
    if (change === 'undo file cut') truncateSync(undo, Math.floor(statSync(undo).size * 0.7));
    else this.#place.become(change, former);
  }

  /** One byte where a sync would have written. */
  #spoil(wanted: Buffer): void {
    const at = this.#scene.older.findIndex((byte, index) => byte !== wanted[index]);
    const copy = Buffer.from(wanted);
    copy[at] = (copy[at] ?? 0) ^ 1;
    this.#place.hold(copy);
  }

  /** Ends the case where it did not succeed. */
  async #step(describe: () => Step): Promise<void> {
    const { activity, during } = this.#what;
    const acts = describe().surrounded === true && activity !== 'none';
    const early = acts && during === undefined;
    const earlier = early || describe().wanted === undefined ? undefined : describe().wanted?.();
    if (early) this.#scene.act(activity);
    const step = describe();
    const { place, wanted, unchanged } = step;
    const before = place === undefined ? undefined : contentOf(place.path);
    const ended = await this.#run(
      step,
      acts && !early ? { activity, after: during ?? 0 } : undefined,
    );
    if (place !== undefined) this.#laboratory.sabotage(place);
    const after = place === undefined ? undefined : contentOf(place.path);
    const possible = [wanted?.(), earlier, unchanged].filter((content) => content !== undefined);
    const expected = this.#answer(step.expected, after, possible);
    const seen = { ...ended, before, after, wanted: possible } as Observation;
    const escaped = escapeOf(expected, seen);
    if (escaped !== undefined) throw new CaseEnds(`lvmsync ${step.words.join(' ')}: ${escaped}`);
    if (ended.status !== 0) throw new CaseEnds();
    this.#laboratory.successes++;
  }

  /** What a verify has to find, by comparing. */
  #answer(
    expected: Expectation,
    after: Buffer | undefined,
    possible: readonly Buffer[],
  ): Expectation {
    if (!isVerify(this.#what.command) || after === undefined) return expected;
    const equal = possible.some((content) => after.subarray(0, content.length).equals(content));
    return { ...expected, equal };
  }

  async #run(
    { words, stdoutFile }: Step,
    also: { readonly activity: Activity; readonly after: number } | undefined,
  ): Promise<Ended> {
    const ended =
      stdoutFile !== undefined ? runAlone(words, stdoutFile) : this.#laboratory.worker.run(words);
    if (also !== undefined) {
      await Promise.race([delay(also.after), ended]);
      this.#scene.act(also.activity);
    }
    return await ended;
  }
}

/** The snapback that the next step of a chain applies, of a rollback or of one that is taken back. */
function linkIn(chain: string): string {
  const names = readdirSync(chain, { recursive: true }).map(String);
  const redo = names.find((name) => name.endsWith('redo.snapback'));
  return `${chain}/${redo ?? names.find((name) => name.endsWith('.snapback'))}`;
}
