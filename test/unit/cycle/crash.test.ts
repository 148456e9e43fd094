/**
 * Turns in a world where every step may be the last one before a crash, and where the origin is
 * written all the time. The steps are those of the program; LVM and the receiver are models, with
 * their rules.
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { PendingStep, Point } from '../../../src/chain/record.js';
import { planTurn, takeTurn } from '../../../src/cycle/plan.js';
import type { CycleSnapshot } from '../../../src/cycle/volumes.js';

const BLOCKS = 5;
const CRASH = new Error('crash');

interface Held extends CycleSnapshot {
  readonly content: readonly number[];
  /** A thick one's list: written in the origin since. */
  readonly changed: Set<number>;
}

class World {
  readonly #kind: 'thick' | 'thin';
  /** Of each block the number of its last write; 0 for a discarded one. */
  #origin: number[] = Array(BLOCKS).fill(0);
  #snapshots: Held[] = [];
  #clock = 0;
  /** Steps that are left before the crash. */
  #fuel = Number.POSITIVE_INFINITY;
  destination: number[] = Array(BLOCKS).fill(-1);
  #point: Point | undefined;
  #doing: PendingStep | undefined;

  constructor(kind: 'thick' | 'thin') {
    this.#kind = kind;
  }

  get names(): string[] {
    return this.#snapshots.map(({ lvName }) => lvName);
  }

  write(block: number, discards: boolean): void {
    this.#origin[block] = discards ? 0 : ++this.#clock;
    for (const { changed } of this.#snapshots) changed.add(block);
  }

  /** Somebody removes the newest snapshot; never that of the point. */
  lose(): void {
    const newest = this.#snapshots.at(-1);
    if (newest !== undefined && newest.uuid !== this.#point?.uuid) this.#snapshots.pop();
  }

  /** Undefined: it crashed; else what the destination must hold now. */
  async turn(fuel: number, force: boolean): Promise<readonly number[] | undefined> {
    this.#fuel = fuel;
    const chain = { point: this.#point, doing: this.#doing };
    const init = force || this.#point === undefined || this.#doing?.what === 'init';
    const facts = { snapshots: this.#snapshots, chain, init, force: init };
    const plan = planTurn({ ...facts, compare: undefined });
    if (plan.kind === 'refused') {
      assert.equal(plan.refusal.why, 'nextGone');
      this.#undoAttempt();
      return this.turn(fuel, force);
    }
    try {
      const held = await takeTurn(plan.turn, {
        make: async () => this.#make(),
        mend: async () => assert.fail('nothing was compared'),
        send: async ({ base }, next) => this.#send(base, next),
        remove: async (snapshot) => this.#remove(snapshot),
      });
      assert.deepEqual(this.names, [held.lvName], 'what a turn leaves');
      return this.#find(held).content;
    } catch (error) {
      if (error !== CRASH) throw error;
      return undefined;
    }
  }

  /** `rollback --steps 0`, to which the snapbacks of the attempts are good. */
  #undoAttempt(): void {
    const held = this.#snapshots.find(({ uuid }) => uuid === this.#point?.uuid);
    this.destination = [...(held?.content ?? assert.fail('there is no point'))];
    this.#doing = undefined;
  }

  /** What must be true at every moment, also that of a crash. */
  check(): void {
    const { uuid } = this.#point ?? {};
    if (uuid === undefined) return;
    assert.ok(
      this.#snapshots.some((one) => one.uuid === uuid),
      'the snapshot of the point is there',
    );
    assert.ok(this.#snapshots.length <= 3, `no more than 3 snapshots: ${this.names}`);
  }

  #step(): void {
    this.check();
    if (this.#fuel-- <= 0) throw CRASH;
  }

  #make(): CycleSnapshot {
    this.#step();
    const n = ++this.#clock;
    const time = new Date(n * 1000).toISOString().replace('.000', '');
    const made = { vgName: 'vg', lvName: `snap${n}`, uuid: `uuid-${n}`, time };
    const content = [...this.#origin];
    this.#snapshots.push({ ...made, state: 'unfinished', content, changed: new Set() });
    this.#step();
    const whole: Held = { ...made, state: 'whole', content, changed: new Set() };
    this.#snapshots[this.#snapshots.length - 1] = whole;
    this.#step();
    return whole;
  }

  #find({ uuid }: { readonly uuid: string }): Held {
    return this.#snapshots.find((one) => one.uuid === uuid) ?? assert.fail(`no snapshot ${uuid}`);
  }

  #send(base: CycleSnapshot | undefined, next: CycleSnapshot): void {
    const { content } = this.#find(next);
    // The origin goes on while the list is read.
    this.write(this.#clock % BLOCKS, false);
    const all = content.map((_, block) => block);
    const extents = base === undefined ? all : this.#difference(this.#find(base), content);
    this.#step();
    this.#refuseOther(base, next);
    this.#doing = { what: base === undefined ? 'init' : 'turn', to: { ...next } };
    for (const block of extents) {
      this.#step();
      this.destination[block] = content[block] ?? 0;
    }
    this.#step();
    this.#point = { uuid: next.uuid, time: next.time };
    this.#doing = undefined;
    this.#step();
  }

  #difference(base: Held, content: readonly number[]): number[] {
    if (this.#kind === 'thick') return [...base.changed];
    return content.flatMap((value, block) => (value === base.content[block] ? [] : [block]));
  }

  /** As the receiver does. */
  #refuseOther(base: CycleSnapshot | undefined, next: CycleSnapshot): void {
    if (base === undefined) {
      return;
    }
    assert.equal(base.uuid, this.#point?.uuid, 'the point that the stream leads from');
    if (this.#doing?.what === 'turn') {
      assert.equal(next.uuid, this.#doing.to.uuid, 'the point that the attempt led to');
    }
  }

  #remove(snapshot: CycleSnapshot): void {
    this.#step();
    this.#snapshots = this.#snapshots.filter(({ uuid }) => uuid !== snapshot.uuid);
    this.#step();
  }
}

const EVENT = fc.oneof(
  fc.record({ write: fc.nat(BLOCKS - 1), discards: fc.boolean() }),
  fc.record({ fuel: fc.nat(16), force: fc.nat(9).map((n) => n === 0) }),
  fc.constant('lose' as const),
);

/** Chains that were begun anew and again just when a point was held, which is where old snapshots would pile up. */
const BEGUN_ANEW = [10, 6, 2, 7, 1].map((fuel, i) => ({ fuel, force: i !== 1 }));

describe('a turn that may be killed at each of its steps', () => {
  for (const kind of ['thick', 'thin'] as const) {
    test(`never rotates early, and the next turn is right (${kind})`, async () => {
      let completed = 0;
      let crashed = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(EVENT, { maxLength: 40 }), async (events) => {
          const world = new World(kind);
          const turn = async (fuel: number, force: boolean): Promise<boolean> => {
            const expected = await world.turn(fuel, force);
            world.check();
            if (expected === undefined) return false;
            assert.deepEqual(world.destination, expected);
            return true;
          };
          for (const event of events) {
            if (event === 'lose') world.lose();
            else if ('write' in event) world.write(event.write, event.discards);
            else if (await turn(event.fuel, event.force)) completed++;
            else crashed++;
          }
          assert.ok(
            await turn(Number.POSITIVE_INFINITY, false),
            'the last turn was let come to its end',
          );
        }),
        { numRuns: 4000, examples: [[BEGUN_ANEW]] },
      );
      assert.ok(completed > 1000 && crashed > 1000, `${completed} completed, ${crashed} crashed`);
    });
  }
});
