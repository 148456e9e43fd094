import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Argv, CommandOptions, RunCommand } from '../../../src/host/subprocess.js';
import {
  findThinPool,
  readPoolStatus,
  releaseCommand,
  requireUsable,
  sendPoolMessage,
} from '../../../src/lvm/thin-pool.js';
import { FakePool, POOL } from '../../helpers/lvm/fake-pool.js';

const POOL_LINE = '0 131072 thin-pool 254:3 254:4 384 0 0';
const UUID = POOL.uuid;

interface Kernel {
  /** Names of the thin-pool devices. */
  readonly pools: readonly string[];
  readonly calls?: Argv[];
}

function kernel({ pools, calls = [] }: Kernel): RunCommand {
  return async (argv) => {
    calls.push(argv);
    if (argv[1] === 'table') {
      const lines = pools.map((name) => `${name}: ${POOL_LINE}\n`).join('');
      return { stdout: lines === '' ? 'No devices found\n' : lines, stderr: '' };
    }
    const name = argv.at(-1);
    return { stdout: `${name} 254 5 ${UUID}-tpool\n`, stderr: '' };
  };
}

describe('findThinPool', () => {
  const wanted = { vgName: 'vg-0', poolName: 'my-pool' };

  test('takes the layer that thin volumes are on, if there is one', async () => {
    const pools = ['vg--0-my--pool', 'vg--0-other-tpool', 'vg--0-my--pool-tpool'];
    assert.deepEqual(await findThinPool(wanted, kernel({ pools })), {
      name: 'vg-0/my-pool',
      dmName: 'vg--0-my--pool-tpool',
      dmUuid: `${UUID}-tpool`,
      uuid: UUID,
      number: '254:5',
      metadataPath: '/dev/mapper/vg--0-my--pool_tmeta',
      dataBlockSize: 384 * 512,
    });
  });

  test('takes the pool itself where no thin volume is active', async () => {
    const found = await findThinPool(wanted, kernel({ pools: ['vg--0-my--pool'] }));
    assert.equal(found.dmName, 'vg--0-my--pool');
  });

  test('names the device behind --, so that no name can become an option', async () => {
    const calls: Argv[] = [];
    await findThinPool(wanted, kernel({ pools: ['vg--0-my--pool'], calls }));
    assert.deepEqual(calls[1]?.slice(-2), ['--', 'vg--0-my--pool']);
  });

  for (const pools of [[], ['vg--0-my--pool2-tpool'], ['vg-0-my-pool-tpool']]) {
    test(`refuses a pool that is not active, among [${pools}]`, async () => {
      await assert.rejects(findThinPool(wanted, kernel({ pools })), {
        code: 'pool',
        message: 'vg-0/my-pool: the thin pool is not active',
        hint: 'Activate it: lvchange -ay -K vg-0/my-pool',
      });
    });
  }
});

describe('the state of a pool', () => {
  test('is usable if it can be written and needs no check', async () => {
    const { run } = new FakePool({ heldRoot: 5 });
    const status = await readPoolStatus(POOL, run);
    assert.equal(status.heldRoot, 5);
    requireUsable(POOL, status);
  });

  test('F11: one out of data space can, so that its volumes can leave it', async () => {
    const { run } = new FakePool({ mode: 'out_of_data_space' });
    requireUsable(POOL, await readPoolStatus(POOL, run));
  });

  const faults = [
    [{ mode: 'ro' }, 'is read-only'],
    [{ mode: 'ro', needsCheck: true }, 'needs a check of its metadata (needs_check)'],
  ] as const;
  for (const [state, words] of faults) {
    test(`that ${words} is refused in these words, with a place to look`, async () => {
      const status = await readPoolStatus(POOL, new FakePool(state).run);
      assert.throws(() => requireUsable(POOL, status), {
        code: 'pool',
        message: `vg0/pool: the thin pool ${words}`,
        state: 'The pool was left unchanged.',
        hint: /^See: lvs .* vg0\/pool$/,
      });
    });
  }

  test('that has failed is refused with the command to repair it', async () => {
    await assert.rejects(readPoolStatus(POOL, new FakePool({ failed: true }).run), {
      code: 'pool',
      message: 'vg0/pool: the thin pool has failed',
      hint: /lvconvert --repair vg0\/pool/,
    });
  });

  for (const stdout of ['', '0 8 linear \n']) {
    test(`is a failure where dmsetup says "${stdout.trim()}"`, async () => {
      const run: RunCommand = async () => ({ stdout, stderr: '' });
      await assert.rejects(readPoolStatus(POOL, run), { code: 'pool' });
    });
  }
});

describe('what is asked of a pool', () => {
  const asked: { argv: Argv; options: CommandOptions | undefined }[] = [];
  const run: RunCommand = async (argv, options) => {
    asked.push({ argv, options });
    return { stdout: `${POOL_LINE.replace(/thin-pool.*/, 'thin-pool Fail')}\n`, stderr: '' };
  };

  test('does not commit anything to answer, and goes through when Ctrl-C is typed', async () => {
    await readPoolStatus(POOL, run).catch(() => undefined);
    await sendPoolMessage(POOL, 'reserve_metadata_snap', run);
    const [status, message] = asked;
    assert.deepEqual(status?.argv, ['dmsetup', 'status', '--noflush', '-u', POOL.dmUuid]);
    assert.deepEqual(message?.argv, [
      ...['dmsetup', 'message', '-u', POOL.dmUuid],
      ...['0', 'reserve_metadata_snap'],
    ]);
    for (const { options } of asked) assert.deepEqual(options, { code: 'pool', shielded: true });
  });

  test('is released by hand with a command that names the same device', () => {
    assert.equal(releaseCommand(POOL), 'dmsetup message vg0-pool-tpool 0 release_metadata_snap');
  });
});
