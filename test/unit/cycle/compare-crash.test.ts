/**
 * Runs with --compare in a world where every step may be the last one before a crash, where snapshots overflow and are
 * removed, and where something else writes to the copy. The plan and the order of the links are those of the program;
 * LVM and the receiver are models, with their rules.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Exactness, exactnessOf, type Linked, orderChain } from '../../../src/chain/order.js';
import type { PendingStep, Point } from '../../../src/chain/record.js';
import { planTurn, type Turn, takeTurn } from '../../../src/cycle/plan.js';
import type { CycleSnapshot } from '../../../src/cycle/volumes.js';
import { UNNOTICED, WRITTEN_BEFORE } from '../../../src/stream/control-frame.js';

const BLOCKS = 4;
const CRASH = new Error('crash');

interface Held extends CycleSnapshot {
  readonly content: readonly number[];
}

interface ModelLink extends Linked {
  /** Former content of blocks. */
  readonly saved: Map<number, number>;
}

class World {
  #origin: number[] = Array(BLOCKS).fill(0);
  #snapshots: Held[] = [];
  #clock = 0;
  #fuel = Number.POSITIVE_INFINITY;
  #copy: number[] = Array(BLOCKS).fill(0);
  #written = false;
  #point: Point | undefined;
  #doing: PendingStep | undefined;
  #last: string | null = null;
  #links: ModelLink[] = [];
  #inexact: Exactness;
  /** What the source held at each point, by uuid. */
  readonly #history = new Map<string, readonly number[]>();
  completed = 0;
  crashed = 0;
  marked = 0;
  rolledBack = 0;

  write(block: number): void {
    this.#origin[block] = ++this.#clock;
  }

  /** It is noticed, as a rule. */
  writeToCopy(block: number): void {
    this.#copy[block] = -++this.#clock;
    this.#written = true;
  }

  overflow(index: number): void {
    const snapshot = this.#snapshots[index % Math.max(1, this.#snapshots.length)];
    if (snapshot === undefined) return;
    this.#snapshots = this.#snapshots.map((one) =>
      one === snapshot ? { ...one, state: 'lost' } : one,
    );
  }

  remove(index: number): void {
    this.#snapshots.splice(index % Math.max(1, this.#snapshots.length), 1);
  }

  /** False where it crashed. */
  async run(fuel: number): Promise<boolean> {
    this.#fuel = fuel;
    const chain = {
      ...{ point: this.#point, doing: this.#doing },
      ...(this.#isDoubted && { written: true }),
    };
    const init = this.#point === undefined;
    const facts = { snapshots: this.#snapshots, chain, init, force: false };
    const plan = planTurn({ ...facts, compare: 'any' });
    if (plan.kind === 'refused') return assert.fail(`refused: ${plan.refusal.why}`);
    try {
      const held = await takeTurn(plan.turn, {
        make: async () => this.#make(),
        mend: async (base) => this.#mend(base),
        send: async (turn, next) => this.#send(turn, next),
        remove: async (snapshot) => this.#drop(snapshot),
      });
      assert.deepEqual(
        this.#snapshots.map(({ uuid }) => uuid),
        [held.uuid],
      );
      assert.deepEqual(this.#copy, this.#find(held).content, 'the copy after a run');
      this.completed++;
      this.#assertHistory();
      return true;
    } catch (error) {
      if (error !== CRASH) throw error;
      this.crashed++;
      return false;
    }
  }

  #step(): void {
    if (this.#fuel-- <= 0) throw CRASH;
  }

  #make(): CycleSnapshot {
    this.#step();
    const n = ++this.#clock;
    const time = new Date(n * 1000).toISOString().replace('.000', '');
    const made = {
      vgName: 'vg',
      lvName: `snap${n}`,
      uuid: `uuid-${n}`,
      time,
      state: 'whole',
    } as const;
    this.#snapshots.push({ ...made, content: [...this.#origin] });
    this.#step();
    return made;
  }

  #drop({ uuid }: CycleSnapshot): void {
    this.#step();
    this.#snapshots = this.#snapshots.filter((one) => one.uuid !== uuid);
    this.#step();
  }

  #find({ uuid }: { readonly uuid: string }): Held {
    return this.#snapshots.find((one) => one.uuid === uuid) ?? assert.fail(`no snapshot ${uuid}`);
  }

  #mend(base: CycleSnapshot): void {
    const { content } = this.#find(base);
    this.#step();
    const foreign = this.#isDoubted;
    this.#doing = { what: 'mend', to: { uuid: base.uuid, time: base.time }, foreign };
    this.#written = false;
    for (const [block, value] of content.entries()) {
      if (this.#copy[block] === value) continue;
      this.#step();
      this.#copy[block] = value;
    }
    this.#step();
    const { attempts } = this.#order();
    this.#last = attempts.length === 0 ? this.#last : (attempts.at(-1)?.previous ?? null);
    this.#doing = undefined;
    this.#inexact = undefined;
    this.#step();
  }

  #send({ base, compare }: Turn, next: CycleSnapshot): void {
    const { content } = this.#find(next);
    const to = { uuid: next.uuid, time: next.time };
    const from = compare === undefined ? base : compare.from;
    const changed = content.flatMap((value, block) => {
      const before = compare === undefined && base ? this.#find(base).content : this.#copy;
      return value === before[block] ? [] : [block];
    });
    this.#step();
    this.#requireStep(from, to, compare !== undefined);
    // What something else wrote is kept, too.
    const isCounted = this.#doing?.what === 'turn' && !this.#isDoubted;
    const attempts = isCounted ? this.#order().attempts : [];
    const saved = new Set(attempts.flatMap((link) => [...(link as ModelLink).saved.keys()]));
    const link =
      from && this.#link({ uuid: from.uuid, time: from.time }, to, compare !== undefined);
    this.#doing = { what: from === undefined ? 'init' : 'turn', to };
    this.#written = false;
    for (const block of changed) {
      this.#step();
      if (!saved.has(block)) link?.saved.set(block, this.#copy[block] ?? 0);
      this.#step();
      this.#copy[block] = content[block] ?? 0;
    }
    this.#step();
    this.#point = to;
    this.#doing = undefined;
    if (compare !== undefined) this.#inexact = undefined;
    this.#history.set(to.uuid, content);
    this.#step();
  }

  #link(from: Point, to: Point, compared: boolean): ModelLink {
    const streamId = `${this.#links.length}`.padStart(32, '0');
    const link = {
      ...{ name: streamId, streamId, previous: this.#last ?? undefined, from, to },
      ...{ comparison: this.#mark(compared), saved: new Map<number, number>() },
    };
    this.#links.push(link);
    this.#last = streamId;
    return link;
  }

  /** As the receiver's, which doubts a copy that is only in part equal to its point again. */
  #mark(compared: boolean): string | undefined {
    const exact = this.#inexact?.exact;
    if (exact === 'no' || (compared && this.#isDoubted)) return WRITTEN_BEFORE;
    return compared || exact !== undefined ? UNNOTICED : undefined;
  }

  get #isDoubted(): boolean {
    const isMended = this.#doing?.what === 'mend' && this.#doing.foreign;
    return this.#written || isMended || this.#inexact?.exact === 'no';
  }

  /** As many turns, or only an attempt. Something else that wrote makes it refused. */
  rollback(many: number): void {
    if (this.#isDoubted || this.#point === undefined) return;
    const order = this.#order();
    const turns = order.turns.slice(0, many);
    const links = [...order.attempts, ...turns.flatMap((turn) => turn.links)];
    if (links.length === 0) return;
    for (const { saved } of links) {
      for (const [block, value] of saved) this.#copy[block] = value;
    }
    this.#inexact = exactnessOf(order, this.#inexact)[turns.length];
    this.#last = links.at(-1)?.previous ?? null;
    this.#point = turns.at(-1)?.from ?? this.#point;
    this.#doing = undefined;
    this.rolledBack++;
  }

  /** As the receiver does. */
  #requireStep(from: Point | undefined, to: Point, compared: boolean): void {
    if (from === undefined) return;
    assert.equal(from.uuid, this.#point?.uuid, 'the point that the stream leads from');
    if (this.#doing?.what === 'turn' && !compared) assert.equal(to.uuid, this.#doing.to.uuid);
    if (!compared) assert.ok(!this.#isDoubted, 'something else wrote to the copy');
  }

  #order() {
    const point = this.#point ?? null;
    const record = { point, last: this.#last, pruned: null, doing: this.#doing ?? null };
    return orderChain<ModelLink>(record, this.#links);
  }

  /** Going back step by step leads to each point, exactly where it is said to be so. */
  #assertHistory(): void {
    const order = this.#order();
    assert.equal(order.gap, undefined);
    const exactness = exactnessOf(order, this.#inexact);
    const content = [...this.#copy];
    for (const [i, { links, from }] of order.turns.entries()) {
      for (const { saved } of links) for (const [block, value] of saved) content[block] = value;
      const exact = exactness[i + 1]?.exact ?? 'yes';
      // Whatever else wrote to the copy was noticed.
      if (exact === 'no') this.marked++;
      else assert.deepEqual(content, this.#history.get(from.uuid), `${i + 1} steps back: ${exact}`);
    }
  }
}

const EVENT = fc.oneof(
  { weight: 4, arbitrary: fc.record({ fuel: fc.nat(12) }) },
  { weight: 3, arbitrary: fc.record({ write: fc.nat(BLOCKS - 1) }) },
  fc.record({ writeToCopy: fc.nat(BLOCKS - 1) }),
  fc.record({ overflow: fc.nat(2) }),
  fc.record({ remove: fc.nat(2) }),
  fc.record({ rollback: fc.nat(2) }),
);

test('a run with --compare that may be killed at each of its steps loses nothing', async () => {
  let completed = 0;
  let crashed = 0;
  let marked = 0;
  let rolledBack = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(EVENT, { maxLength: 40 }), async (events) => {
      const world = new World();
      for (const event of events) {
        if ('fuel' in event) await world.run(event.fuel);
        else if ('write' in event) world.write(event.write);
        else if ('writeToCopy' in event) world.writeToCopy(event.writeToCopy);
        else if ('overflow' in event) world.overflow(event.overflow);
        else if ('remove' in event) world.remove(event.remove);
        else world.rollback(event.rollback);
      }
      assert.ok(await world.run(Number.POSITIVE_INFINITY));
      completed += world.completed;
      crashed += world.crashed;
      marked += world.marked;
      rolledBack += world.rolledBack;
    }),
    { numRuns: 12_000 },
  );
  const counts = `${completed} completed, ${crashed} crashed, ${marked} points marked, ${rolledBack} rollbacks`;
  assert.ok(completed > 4000 && crashed > 2000 && marked > 400 && rolledBack > 400, counts);
});
