/** A chain on files: the states of a source, and the change streams that lead from each to the next. */

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Point, RECORD_NAME } from '../../../src/chain/record.js';
import { assertFails, assertSucceeds, type CliResult, lvmsync } from '../program/cli.js';
import { runInProcess } from '../program/in-process.js';
import type { Random } from '../random.js';
import { type FramedStreamSpec, framedStream, type StreamRecord } from '../streams/stream-parts.js';
import { forgetEnd } from './registry-entries.js';

export interface ChainSpec {
  /** Bytes. */
  readonly size: number;
  readonly chunkSize: number;
  /** After the first state. */
  readonly turns: number;
  readonly changedChunks: number;
}

/** The n-th point, one hour after the one before it. */
export function pointAt(number: number): Point {
  const time = new Date(Date.UTC(2026, 10, 23, number)).toISOString().replace('.000Z', 'Z');
  return { uuid: `point-${number}`, time };
}

const RECORDS_IN_GROUP = 16;

export class ChainLaboratory {
  /** What the source held at each point. */
  readonly states: readonly Buffer[];
  readonly destination: string;
  readonly chain: string;
  readonly #folder: string;
  readonly #spec: ChainSpec;
  /** Of each turn: the offsets of its changes. */
  readonly #changes: readonly (readonly number[])[];

  /** Makes `folder`, in which everything lies that `places` does not name. */
  constructor(folder: string, spec: ChainSpec, random: Random, places: Partial<Places> = {}) {
    mkdirSync(folder);
    this.#folder = folder;
    this.#spec = spec;
    const { destination = join(folder, 'destination'), chain = join(folder, 'chain') } = places;
    this.destination = destination;
    this.chain = chain;
    const { size, chunkSize, turns, changedChunks } = spec;
    const changes: number[][] = [];
    const states = [random.bytes(size)];
    for (let turn = 0; turn < turns; turn++) {
      const state = Buffer.from(states.at(-1) ?? '');
      const offsets = random
        .distinct(changedChunks, size / chunkSize)
        .map((chunk) => chunk * chunkSize)
        .sort((a, b) => a - b);
      for (const offset of offsets) random.bytes(chunkSize).copy(state, offset);
      changes.push(offsets);
      states.push(state);
    }
    this.states = states;
    this.#changes = changes;
  }

  /** No chain, and a destination that holds something else. */
  reset(): void {
    rmSync(this.chain, { recursive: true, force: true });
    writeFileSync(this.destination, this.before);
  }

  /** What a destination holds before its first full copy. */
  get before(): Buffer {
    return Buffer.alloc(this.#spec.size, 'before the chain ');
  }

  assertUntouched(): void {
    assert.ok(readFileSync(this.destination).equals(this.before), 'as before the chain');
  }

  /** The stream that leads to that point, as a file: its path. */
  async stream(number: number, changed: StreamChange = {}): Promise<string> {
    const path = join(this.#folder, `stream-${number}`);
    const facts = { ...this.facts(number), ...changed };
    await framedStream(path, { kind: 'file', deviceSize: this.#spec.size, ...facts });
    return path;
  }

  facts(number: number): StreamFacts {
    const { size, chunkSize } = this.#spec;
    const state = this.states[number];
    assert.ok(state, `state ${number}`);
    const whole = Array.from({ length: size / chunkSize }, (_, chunk) => chunk * chunkSize);
    const offsets = number === 0 ? whole : (this.#changes[number - 1] ?? []);
    const records = offsets.map((offset) => ({
      offset,
      data: state.subarray(offset, offset + chunkSize),
    }));
    const groups: StreamRecord[][] = [];
    for (let at = 0; at < records.length; at += RECORDS_IN_GROUP) {
      groups.push(records.slice(at, at + RECORDS_IN_GROUP));
    }
    const to = pointAt(number);
    const from = number === 0 ? undefined : pointAt(number - 1);
    const attributes = {
      toPoint: to.uuid,
      toTime: to.time,
      ...(from && { fromPoint: from.uuid, fromTime: from.time }),
    };
    return { attributes, groups };
  }

  /** The words that take the turn to that point. */
  async words(number: number, changed: StreamChange = {}): Promise<string[]> {
    const init = number === 0 ? ['--init'] : [];
    const stream = await this.stream(number, changed);
    return ['--apply', stream, '--chain', this.chain, ...init, this.destination];
  }

  async turn(number: number, more: readonly string[] = []): Promise<CliResult> {
    return lvmsync([...more, ...(await this.words(number))]);
  }

  /** An attempt of the turn to that point, of which only these groups arrive, or so many, and no end. */
  async cutOff(number: number, groups: StreamFacts['groups'] | number): Promise<CliResult> {
    const part = typeof groups === 'number' ? this.facts(number).groups.slice(0, groups) : groups;
    const words = await this.words(number, { groups: part, ending: 'none' });
    const result = await runInProcess(words);
    assertFails(result, 14, /cut off/);
    return result;
  }

  /** As of a run that was killed, so that it could not record how it left the copy. */
  forgetAttempt(): void {
    const path = join(this.chain, RECORD_NAME);
    const { attempt, ...record } = JSON.parse(readFileSync(path, 'utf8'));
    assert.ok(attempt !== undefined);
    writeFileSync(path, JSON.stringify(record));
    forgetEnd(this.destination);
  }

  /** Begins a chain and takes all turns up to that point. */
  async advanceTo(number: number): Promise<void> {
    this.reset();
    for (let turn = 0; turn <= number; turn++) {
      assertSucceeds(await runInProcess(await this.words(turn)));
    }
    this.assertHolds(number);
  }

  assertHolds(number: number, when = ''): void {
    const state = this.states[number];
    assert.ok(state, `state ${number}`);
    assert.ok(readFileSync(this.destination).equals(state), `state ${number} ${when}`);
  }

  /** What `chain --json` says. */
  survey(): ChainSurvey {
    const { stdout, stderr } = lvmsync(['chain', '--json', this.chain, this.destination]);
    assert.equal(stderr, '');
    return JSON.parse(stdout.toString()) as ChainSurvey;
  }
}

export interface Places {
  /** A file, or a block device of the size of the source. */
  readonly destination: string;
  readonly chain: string;
}

export interface StreamFacts {
  readonly attributes: Readonly<Record<string, string>>;
  readonly groups: readonly (readonly StreamRecord[])[];
}

/** What is to be different from the turn that leads to a point. */
export type StreamChange = Partial<
  StreamFacts &
    Pick<
      FramedStreamSpec,
      'kind' | 'deviceSize' | 'ending' | 'sourceChanged' | 'totalBytes' | 'discards'
    >
>;

export interface ChainSurvey {
  readonly exists: boolean;
  readonly point: Point | null;
  readonly incomplete: boolean;
  readonly points: readonly (Point & {
    readonly steps: number;
    readonly undoBytes: number;
    readonly exact: 'yes' | 'unknown' | 'no';
  })[];
  readonly links: readonly {
    readonly name: string;
    readonly streamId: string;
    readonly previous: string | null;
    readonly attempt: boolean;
  }[];
  readonly unused: readonly string[];
  readonly gap: string | null;
  readonly mismatch: string | null;
  readonly remedy: string | null;
  readonly undone: { readonly folder: string } | null;
}
