import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type FreezeHooks,
  type HookEffects,
  whileFrozen,
} from '../../../src/cycle/freeze-hooks.js';
import { CommandError, runCommand } from '../../../src/host/subprocess.js';
import { scratchFolder } from '../../helpers/scratch.js';

const NEVER = new AbortController().signal;
const HOOKS: FreezeHooks = { freeze: ['db', 'freeze'], thaw: ['db', 'thaw'] };

/** Effects that note what happens, and fail where `failing` says so. */
function stage(...failing: string[]): { readonly effects: HookEffects; readonly seen: string[] } {
  const seen: string[] = [];
  const note = (what: string): void => {
    seen.push(what);
  };
  const effects: HookEffects = {
    run: async (argv) => {
      const what = argv.slice(1).join(' ');
      note(what);
      if (failing.includes(what)) throw new CommandError({ argv, reason: `${what} failed` });
      return { stdout: '', stderr: '' };
    },
    startWatcher: async (thaw) => {
      note(`watch for ${thaw.join(' ')}`);
      return { dismiss: async () => note('dismiss') };
    },
    limits: { hook: 60_000, work: 60_000 },
  };
  return { effects, seen };
}

const CASES: readonly {
  readonly title: string;
  readonly hooks: FreezeHooks;
  readonly failing: readonly string[];
  readonly seen: readonly string[];
  readonly fails?: RegExp;
}[] = [
  {
    title: 'the work lies between freeze and thaw, and a watcher around them',
    hooks: HOOKS,
    failing: [],
    seen: ['watch for db thaw', 'freeze', 'work', 'thaw', 'dismiss'],
  },
  {
    title: 'a failure of the work is followed by the thaw',
    hooks: HOOKS,
    failing: ['work'],
    seen: ['watch for db thaw', 'freeze', 'work', 'thaw', 'dismiss'],
    fails: /work failed/,
  },
  {
    title: 'a freeze that fails is followed by the thaw, without the work',
    hooks: HOOKS,
    failing: ['freeze'],
    seen: ['watch for db thaw', 'freeze', 'thaw', 'dismiss'],
    fails: /freeze failed/,
  },
  {
    title: 'a thaw that fails makes the run fail',
    hooks: HOOKS,
    failing: ['thaw'],
    seen: ['watch for db thaw', 'freeze', 'work', 'thaw', 'dismiss'],
    fails: /thaw failed/,
  },
  {
    title: 'without commands there is neither watcher nor command',
    hooks: { freeze: undefined, thaw: undefined },
    failing: [],
    seen: ['work'],
  },
  {
    title: 'a freeze alone is enough',
    hooks: { ...HOOKS, thaw: undefined },
    failing: [],
    seen: ['freeze', 'work'],
  },
];

describe('the commands around the making of a snapshot', () => {
  for (const { title, hooks, failing, seen: expected, fails } of CASES) {
    test(title, async () => {
      const { effects, seen } = stage(...failing);
      const work = async (): Promise<string> => {
        seen.push('work');
        if (failing.includes('work')) throw new Error('work failed');
        return 'made';
      };
      const running = whileFrozen(hooks, work, NEVER, effects);
      if (fails === undefined) assert.equal(await running, 'made');
      else await assert.rejects(running, fails);
      assert.deepEqual(seen, expected);
    });
  }

  test('say that something may be frozen still where the thaw failed', async () => {
    const { effects } = stage('thaw');
    await assert.rejects(
      whileFrozen(HOOKS, async () => undefined, NEVER, effects),
      { state: /may still be frozen/ },
    );
  });

  test('have no watcher to thaw what was never frozen: it comes first, and its failure ends the run', async () => {
    const { effects, seen } = stage();
    const startWatcher = async (): Promise<never> => {
      throw new Error('no watcher');
    };
    await assert.rejects(
      whileFrozen(HOOKS, async () => undefined, NEVER, { ...effects, startWatcher }),
      /no watcher/,
    );
    assert.deepEqual(seen, []);
  });
});

describe('real commands around the making of a snapshot', () => {
  const shell = (script: string, ...words: string[]) =>
    ['sh', '-c', script, 'sh', ...words] as const;

  /** Real but for the process that would thaw for ours; the log has a line for each thaw. */
  function scene(limits = { hook: 60_000, work: 60_000 }) {
    const log = join(scratchFolder(), 'log');
    const thaw = shell('echo thaw >>"$1"', log);
    const startWatcher = async () => ({ dismiss: async () => undefined });
    const effects: HookEffects = { run: runCommand, startWatcher, limits };
    return { log, thaw, effects, thaws: () => readFileSync(log, 'utf8').split('\n').length - 1 };
  }

  test('F31: a freeze is over when the command has ended, whatever it left behind', async () => {
    const { log, thaw, effects, thaws } = scene();
    // The session prints later on, which must not end it.
    const script =
      'echo frozen; { sleep 1; echo still here; echo still here >&2; touch "$1"; sleep 20; } &';
    const freeze = shell(script, `${log}.session`);
    const began = performance.now();
    const work = async (): Promise<void> => {
      while (!existsSync(`${log}.session`) && performance.now() - began < 15_000) await sleep(20);
    };
    await whileFrozen({ freeze, thaw }, work, NEVER, effects);
    assert.ok(performance.now() - began < 10_000);
    assert.ok(existsSync(`${log}.session`), 'it went on to its last line');
    assert.equal(thaws(), 1);
  });

  test('F31: a thaw is over when its command has ended, too', async () => {
    const { log, effects, thaws } = scene();
    const thaw = shell('echo thaw >>"$1"; sleep 20 &', log);
    const began = performance.now();
    await whileFrozen({ freeze: undefined, thaw }, async () => undefined, NEVER, effects);
    assert.ok(performance.now() - began < 10_000);
    assert.equal(thaws(), 1);
  });

  test('F31: the first signal ends the freeze and what it started, and thaws', async () => {
    const { log, thaw, effects, thaws } = scene();
    const stop = new AbortController();
    const freeze = shell('trap "" TERM; sleep 30 & echo $! >"$1"; wait; sleep 30', `${log}.pid`);
    const work = async (): Promise<never> => assert.fail('it was not frozen');
    const running = whileFrozen({ freeze, thaw }, work, stop.signal, effects);
    while (!existsSync(`${log}.pid`) || readFileSync(`${log}.pid`, 'utf8') === '') await sleep(20);
    stop.abort('SIGTERM');
    await assert.rejects(running, (reason) => reason === 'SIGTERM');
    assert.equal(thaws(), 1);
    // Nobody may have waited for it yet: then it has no words any more.
    const words = `/proc/${readFileSync(`${log}.pid`, 'utf8').trim()}/cmdline`;
    const isLeft = () => existsSync(words) && readFileSync(words, 'utf8') !== '';
    for (let waits = 0; isLeft() && waits < 100; waits++) await sleep(20);
    assert.ok(!isLeft());
  });

  test('F31: a freeze that does not end is ended after its time, and thawed', async () => {
    const { thaw, effects, thaws } = scene({ hook: 300, work: 60_000 });
    const work = async (): Promise<never> => assert.fail('it was not frozen');
    const running = whileFrozen({ freeze: ['sleep', '30'], thaw }, work, NEVER, effects);
    await assert.rejects(running, /--freeze-cmd: sleep did not finish in 0.3 s and was stopped/);
    assert.equal(thaws(), 1);
  });

  test('F31: a thaw that does not end is ended after its time, and told', async () => {
    const { effects } = scene({ hook: 300, work: 60_000 });
    const thaw = ['sleep', '30'] as const;
    await assert.rejects(
      whileFrozen({ freeze: undefined, thaw }, async () => undefined, NEVER, effects),
      { message: /--thaw-cmd: sleep did not finish/, state: /may still be frozen/ },
    );
  });

  test('F31: the thaw does not wait for a snapshot that takes too long', async () => {
    const { log, thaw, effects } = scene({ hook: 60_000, work: 200 });
    let wasThawed = false;
    const work = async (): Promise<void> => {
      while (!existsSync(log)) await sleep(20);
      wasThawed = true;
    };
    const running = whileFrozen({ freeze: undefined, thaw }, work, NEVER, effects);
    await assert.rejects(running, {
      exitStatus: 10,
      message: /no snapshot within 0.2 s of the freeze: thawed without one$/,
    });
    assert.ok(wasThawed, 'its end was waited for');
  });

  test('nothing is said to be thawed where there is no thaw', async () => {
    const { effects } = scene({ hook: 60_000, work: 200 });
    const freeze = ['true'] as const;
    const running = whileFrozen({ freeze, thaw: undefined }, () => sleep(400), NEVER, effects);
    await assert.rejects(running, { message: /no snapshot within 0.2 s of the freeze$/ });
  });
});
