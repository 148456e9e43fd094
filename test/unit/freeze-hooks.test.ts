import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CommandError } from '../../src/command.js';
import { type FreezeHooks, type HookEffects, whileFrozen } from '../../src/freeze-hooks.js';

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
    it(title, async () => {
      const { effects, seen } = stage(...failing);
      const work = async (): Promise<string> => {
        seen.push('work');
        if (failing.includes('work')) throw new Error('work failed');
        return 'made';
      };
      const running = whileFrozen(hooks, work, effects);
      if (fails === undefined) assert.equal(await running, 'made');
      else await assert.rejects(running, fails);
      assert.deepEqual(seen, expected);
    });
  }

  it('say that something may be frozen still where the thaw failed', async () => {
    const { effects } = stage('thaw');
    await assert.rejects(
      whileFrozen(HOOKS, async () => undefined, effects),
      { state: /frozen still/ },
    );
  });

  it('have no watcher to thaw what was never frozen: it comes first, and its failure ends the run', async () => {
    const { effects, seen } = stage();
    const startWatcher = async (): Promise<never> => {
      throw new Error('no watcher');
    };
    await assert.rejects(
      whileFrozen(HOOKS, async () => undefined, { ...effects, startWatcher }),
      /no watcher/,
    );
    assert.deepEqual(seen, []);
  });
});
