// run-scenarios TALLY FILE...
//
// Boots a user-mode kernel for each test file, runs the file in it with node's own test runner, and
// appends one line a test to TALLY (see scripts/tally-reporter.mjs). Exits 1 if anything failed.

import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { type GuestResult, repository, runInGuest } from './guest.js';

const GUESTS_AT_ONCE = Math.min(2, availableParallelism());

interface Scenario {
  readonly file: string;
  /** Where the guest writes its tally: beside TALLY, which is on a file system the guest shares. */
  readonly tally: string;
}

async function main([tally, ...files]: readonly string[]): Promise<void> {
  if (tally === undefined) throw new Error('usage: run-scenarios TALLY FILE...');
  const folder = await mkdtemp(`${tally}.`);
  try {
    const queue = files.map((file) => ({
      file: resolve(file),
      tally: join(folder, basename(file)),
    }));
    const work = async (cpu: number): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        await report(next, await boot(next, cpu), tally);
      }
    };
    await Promise.all(Array.from({ length: GUESTS_AT_ONCE }, (_, cpu) => work(cpu)));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function boot(scenario: Scenario, cpu: number): Promise<GuestResult> {
  return runInGuest({
    command: [
      process.execPath,
      '--test-reporter=spec',
      '--test-reporter-destination=stdout',
      `--test-reporter=${repository}scripts/tally-reporter.mjs`,
      `--test-reporter-destination=${scenario.tally}`,
      scenario.file,
    ],
    env: { ...settings(), NODE_NO_WARNINGS: '1' },
    timeoutSeconds: process.env.LVMSYNC_CAMPAIGN === 'release' ? 6 * 3600 : 1200,
    cpu,
  });
}

/** Random scenarios print their seed, and the first repeats a run with it; see campaign.ts for the other. */
function settings(): Record<string, string> {
  const names = ['LVMSYNC_TEST_SEED', 'LVMSYNC_CAMPAIGN'];
  const set = names.filter((name) => process.env[name] !== undefined);
  return Object.fromEntries(set.map((name) => [name, process.env[name] ?? '']));
}

/** Prints a guest's output and adds its tests to the tally; a guest without any is a failure. */
async function report(scenario: Scenario, result: GuestResult, tally: string): Promise<void> {
  const name = basename(scenario.file, '.test.js');
  process.stdout.write(`-- system scenario ${name}\n${result.output}\n`);
  let lines = await readFile(scenario.tally, 'utf8').catch(() => '');
  if (lines === '' || (result.status !== 0 && !/^fail\t/m.test(lines))) {
    lines += `fail\t${name}: the guest ended with status ${result.status}\n`;
  }
  if (/^fail\t/m.test(lines)) process.exitCode = 1;
  await appendFile(tally, lines);
}

await main(process.argv.slice(2));
