/**
 * A campaign puts one kind of fault at very many places. It counts its cases, collects the ones that
 * escaped (ended well although they must not have, or left wrong data), and reports both, with its
 * seed, as a line that scripts/check gathers into a table.
 */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Random } from '../random.js';

export interface CampaignSize {
  /** Cases in each run of the tests. */
  readonly commit: number;
  /** Cases before a release: `npm run test:faults`. */
  readonly release: number;
}

/** How many cases this run has; LVMSYNC_CAMPAIGN=release asks for the larger number. */
export function campaignSize({ commit, release }: CampaignSize): number {
  return process.env.LVMSYNC_CAMPAIGN === 'release' ? release : commit;
}

/** Of many cases so many for a commit, drawn at random, and all for a release; in the order given. */
export function someOf<T>(cases: readonly T[], commit: number, random: Random): readonly T[] {
  const count = Math.min(campaignSize({ commit, release: cases.length }), cases.length);
  const drawn = new Set(random.distinct(count, cases.length));
  return cases.filter((_, index) => drawn.has(index));
}

type TestBody = (t: TestContext) => void | Promise<void>;

interface Scenario {
  readonly title: string;
  readonly skip: boolean | string;
  readonly body: TestBody;
}

/** Tests of which a commit runs some, drawn at random, and a release all; those of a numbered fault run always. */
export class DrawnTests {
  readonly #scenarios: Scenario[] = [];

  /** As `test` of node:test, which gets those that are drawn. */
  readonly scenario = (
    title: string,
    ...[first, second]: [TestBody] | [{ readonly skip: boolean | string }, TestBody]
  ): void => {
    if (typeof first === 'function') this.#scenarios.push({ title, skip: false, body: first });
    else if (second !== undefined) this.#scenarios.push({ title, ...first, body: second });
  };

  /** In the order in which they were given. */
  run(commit: number, random: Random): void {
    const isFault = ({ title }: Scenario): boolean => /^F\d/.test(title);
    const others = this.#scenarios.filter((scenario) => !isFault(scenario));
    const drawn = new Set(someOf(others, commit, random));
    for (const scenario of this.#scenarios) {
      const { title, skip, body } = scenario;
      if (isFault(scenario) || drawn.has(scenario)) test(title, { skip }, body);
    }
  }
}

/** Escapes that are shown whole; all of them are counted. */
const SHOWN = 10;

export class Campaign {
  readonly #test: TestContext;
  readonly #name: string;
  readonly #seed: number | undefined;
  readonly #escapes: string[] = [];
  #cases = 0;

  /** `name` begins with the number of the campaign: "T5 SIGKILL before each call". */
  constructor(test: TestContext, name: string, seed?: number) {
    this.#test = test;
    this.#name = name;
    this.#seed = seed;
  }

  get cases(): number {
    return this.#cases;
  }

  /** One case; it escapes when `check` throws. `what` says how to repeat it. */
  async run(what: string, check: () => unknown): Promise<void> {
    this.#cases++;
    try {
      await check();
    } catch (error) {
      this.escaped(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** Cases that were counted elsewhere. */
  add(cases: number, escapes: readonly string[]): void {
    this.#cases += cases;
    for (const one of escapes) this.escaped(one);
  }

  escaped(what: string): void {
    this.#escapes.push(what);
  }

  /** Reports, and fails the test if anything escaped or fewer than `atLeast` cases were run. */
  finish(atLeast = 1): void {
    const seed = this.#seed === undefined ? '-' : String(this.#seed);
    const { length } = this.#escapes;
    this.#test.diagnostic(`campaign\t${this.#name}\t${this.#cases}\t${length}\t${seed}`);
    assert.equal(length, 0, `${length} escaped:\n${this.#escapes.slice(0, SHOWN).join('\n')}`);
    assert.ok(this.#cases >= atLeast, `${this.#cases} cases; ${atLeast} were meant`);
  }
}
