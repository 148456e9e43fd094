import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { after, before, beforeEach, describe } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { EXIT } from '../../../src/base/errors.js';
import { DrawnTests } from '../../helpers/faults/campaign.js';
import { assertFails, type CliResult, lvmsync } from '../../helpers/program/cli.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { fillRandom, scattered, writeRandom } from '../harness/content.js';
import { CycleLaboratory } from '../harness/cycles.js';
import { KiB, MiB } from '../harness/lvm.js';
import { tool } from '../harness/tool.js';

const random = new Random();
let laboratory: CycleLaboratory;
before(() => {
  laboratory = new CycleLaboratory('thick', random);
  laboratory.turnSucceeds('--init');
});
after(() => laboratory.destroy());

const writeSomething = (): void => {
  const { path, size } = laboratory.origin;
  writeRandom(path, random, scattered(random, size, { count: 20, length: 4 * KiB }));
};

/** Notes in `log` which policy and nice value each of LVM's commands has; returns what ends that. */
function watchLvm(log: string): () => void {
  const folder = scratchFolder();
  const lvm = realpathSync('/usr/sbin/lvm');
  tool('cp', lvm, `${folder}/lvm`);
  const stat =
    "sed 's/.*) //' /proc/$$/stat | cut -d ' ' -f 39,17 | sed 's/\\(.*\\) \\(.*\\)/\\2 \\1/'";
  const script = `#!/bin/sh\nname=$(basename "$0")\necho "$name $(${stat})" >> ${log}\nexec ${folder}/lvm "$name" "$@"\n`;
  writeFileSync(`${folder}/watched`, script, { mode: 0o755 });
  tool('mount', '--bind', `${folder}/watched`, lvm);
  return () => void tool('umount', lvm);
}

describe('commands around the making of a snapshot', () => {
  const tests = new DrawnTests();
  const { scenario } = tests;
  const folder = scratchFolder();
  const log = `${folder}/log`;
  const [freeze, thaw] = [`${folder}/freeze`, `${folder}/thaw`];
  const hooks = ['--freeze-cmd', `${freeze} 'two words'`, '--thaw-cmd', thaw];
  const count = 'lvs --noheadings --select lv_tags=lvmsync_cycle -o lv_name vg0 | wc -l';
  /** Each notes how many snapshots there are, the freeze what it is called with; then `more`. */
  const setUp = (more: { readonly freeze?: string; readonly thaw?: string } = {}): void => {
    writeFileSync(log, '');
    const script = (what: string, then = ''): string =>
      `#!/bin/sh\necho ${what} $(${count}) >> ${log}\n${then}\n`;
    writeFileSync(freeze, script('freeze "$1"', more.freeze), { mode: 0o755 });
    writeFileSync(thaw, script('thaw', more.thaw), { mode: 0o755 });
  };
  const logged = (): string[] => readFileSync(log, 'utf8').trim().split('\n');
  beforeEach(writeSomething);

  scenario('they do not give way where the run does', () => {
    const note = `chrt -p $$ >> ${log}`;
    setUp({ freeze: note, thaw: note });
    laboratory.turnSucceeds(...hooks, '--nice', 'idle');
    const policies = logged().filter((line) => line.includes('policy'));
    assert.equal(policies.length, 2);
    for (const line of policies) assert.match(line, /SCHED_OTHER/);
  });

  scenario('LVM gives way until it suspends the volume, and not at all between them', () => {
    const restore = watchLvm(log);
    try {
      setUp();
      laboratory.turnSucceeds('--nice', 'idle');
      laboratory.turnSucceeds(...hooks, '--nice', 'idle');
    } finally {
      restore();
    }
    const made = logged().filter((line) => line.startsWith('lvcreate'));
    // With hooks it is asked first whether it can: LVM's lock is not to be waited for inside a freeze.
    assert.deepEqual(made, ['lvcreate 0 19', 'lvcreate 0 0', 'lvcreate 0 0']);
    const removed = logged().filter((line) => line.startsWith('lvremove'));
    assert.deepEqual(removed, ['lvremove 0 19', 'lvremove 0 19']);
  });

  scenario('the snapshot is made between them', () => {
    setUp();
    laboratory.turnSucceeds(...hooks);
    assert.deepEqual(logged(), ['freeze two words 1', 'thaw 2']);
  });

  scenario('the thaw follows a freeze that fails, and nothing is made', () => {
    setUp({ freeze: 'echo "no such guest" >&2; exit 3' });
    const { status, stderr } = laboratory.turn(...hooks);
    assert.equal(status, EXIT.usage, stderr);
    assert.match(stderr, /--freeze-cmd: .*freeze: exit status 3 \(no such guest\)/);
    assert.match(
      stderr,
      /^No snapshot was made, and nothing was sent\. The thaw command was run\.$/m,
    );
    assert.deepEqual(logged(), ['freeze two words 1', 'thaw 1']);
    assert.equal(laboratory.snapshots().length, 1);
  });

  scenario(
    'a thaw that fails makes the turn fail, and the next one makes a snapshot of its own',
    () => {
      setUp({ thaw: 'exit 1' });
      const { status, stderr } = laboratory.turn(...hooks);
      assert.equal(status, EXIT.usage, stderr);
      assert.match(stderr, /may still be frozen.*\nRun the thaw command by hand: /);
      setUp();
      laboratory.turnSucceeds(...hooks);
      assert.deepEqual(logged(), ['freeze two words 1', 'thaw 2']);
    },
  );

  for (const [when, kill] of [
    ['during the freeze', 'kill -KILL $PPID'],
    ['a moment later', '(sleep 0.1; kill -KILL $PPID) > /dev/null 2>&1 &'],
  ] as const) {
    scenario(
      `the thaw comes although lvmsync is killed ${when}, and the next turn is right`,
      async () => {
        setUp({ freeze: kill });
        const { status } = laboratory.turn(...hooks);
        assert.equal(status, null, 'it was killed');
        const deadline = Date.now() + 10_000;
        while (logged().length < 2 && Date.now() < deadline) await delay(50);
        assert.match(logged()[1] ?? 'nothing', /^thaw/);
        setUp();
        laboratory.turnSucceeds(...hooks);
        assert.deepEqual(
          logged(),
          ['freeze two words 1', 'thaw 2'],
          'it made a snapshot of its own',
        );
      },
    );
  }

  tests.run(3, random);
});

describe('a turn that cannot be taken', () => {
  const tests = new DrawnTests();
  const { scenario } = tests;
  scenario('for want of room is refused before anything is sent, and says what to do', () => {
    tool('lvcreate', '-q', '-y', '-Wn', '-Zn', '-l', '100%FREE', '-n', 'full', 'vg0');
    const refused = laboratory.turn();
    assertFails(refused, EXIT.sourceUnfit, /lvcreate.*[Ii]nsufficient/);
    assert.match(refused.stderr, /a smaller --size, or vgextend vg0/);
    tool('lvremove', '-q', '-f', 'vg0/full');
    laboratory.turnSucceeds();
  });

  scenario(
    'because a snapshot is fuller than --max-cow-use permits goes on under another limit',
    () => {
      fillRandom(laboratory.origin.path, random, 2 * MiB);
      const refused = laboratory.turn('--max-cow-use', '10');
      const full = /its COW store is [2-9]\d\.\d% full, which reaches --max-cow-use 10/;
      assertFails(refused, EXIT.sourceUnfit, full);
      laboratory.turnSucceeds('--max-cow-use', '90', '--nice', '5', '--ionice', 'idle');
    },
  );

  scenario('because its base overflowed can begin anew under --init --force, too', () => {
    const small = ['--size', '1M'];
    laboratory.turnSucceeds(...small);
    fillRandom(laboratory.origin.path, random, 4 * MiB);
    const refused = laboratory.turn();
    assertFails(refused, EXIT.sourceUnfit, /it overflowed, so its list of changes is lost/);
    assert.match(refused.stderr, /--compare/);
    laboratory.turnSucceeds('--init', '--force');
  });

  scenario(
    'because the copy is spelled in another way can be, in the former or, by the command it names, from now on',
    () => {
      const { path } = laboratory.copy;
      const link = `${scratchFolder()}/copy`;
      symlinkSync(path, link);
      const respelled = laboratory.words().map((word) => (word === path ? link : word));
      const adopt = ({ stderr }: CliResult): void => {
        const [, command = ''] = /: (lvchange .*)\n$/.exec(stderr) ?? [];
        assert.notEqual(command, '', stderr);
        const [program = '', ...words] = command.split(' ');
        tool(program, '-q', ...words);
      };
      writeSomething();
      const before = laboratory.snapshots();
      const refused = lvmsync(respelled);
      assertFails(refused, EXIT.sourceUnfit, /another spelling of host, destination or directory/);
      assert.deepEqual(laboratory.snapshots(), before, 'none was made or removed');
      adopt(refused);
      const { status, stderr } = lvmsync(respelled);
      assert.equal(status, 0, stderr);
      assert.equal(laboratory.snapshots().length, 1);
      // And back.
      adopt(laboratory.turn());
      laboratory.turnSucceeds();
    },
  );

  /** Runs what a refusal says at the end of its last line. */
  const runAdvice = (said: string): void => {
    const [, command = ''] = /, here: lvmsync (rollback .*)\n$/.exec(said) ?? [];
    const { status, stderr } = lvmsync(command.split(' '));
    assert.equal(status, 0, `${said}\n${stderr}`);
  };

  scenario(
    'because the snapshot is gone of which part was sent can be, once that part is undone there',
    async () => {
      fillRandom(laboratory.origin.path, random, 2 * MiB);
      const turn = laboratory.startTurn('--bwlimit', '200K');
      const ended = once(turn, 'exit');
      await laboratory.isUnderWay(turn);
      process.kill(-(turn.pid ?? 0), 'SIGTERM');
      await ended;
      const held = laboratory.point();
      const [next] = laboratory.snapshots().filter(({ uuid }) => uuid !== held);
      tool('lvremove', '-q', '-f', `vg0/${next?.lvName}`);
      const refused = laboratory.turn();
      assertFails(refused, EXIT.destinationUnfit, /holds part of a snapshot that no longer exists/);
      runAdvice(refused.stderr);
      laboratory.turnSucceeds();
    },
  );

  const change = (chunks: number): void => {
    const { path, size } = laboratory.origin;
    writeRandom(path, random, scattered(random, size, { count: chunks, length: 4 * KiB }));
  };
  /** Of a slow turn four batches are read ahead: the first goes at once, the others follow. */
  const OVERFLOWS: readonly [when: string, change: () => void, rate: string][] = [
    ['while', () => fillRandom(laboratory.origin.path, random, 7 * MiB), '200K'],
    ['after all of it was read, while', () => change(4), '1K'],
  ];
  for (const [when, prepare, rate] of OVERFLOWS) {
    scenario(
      `because the new snapshot overflowed ${when} it was sent can be, once the part is undone there`,
      async () => {
        laboratory.turnSucceeds();
        const former = laboratory.hash();
        prepare();
        const turn = laboratory.startTurn('--bwlimit', rate, '--size', '1M');
        const said = text(turn.stderr);
        const ended = once(turn, 'exit');
        await laboratory.isUnderWay(turn);
        fillRandom(laboratory.origin.path, random, 2 * MiB);
        assert.deepEqual(await ended, [EXIT.sourceUnfit, null], await said);
        const stderr = (await said).replace(/^remote:.*\n/gm, '');
        const result = { status: EXIT.sourceUnfit, stderr };
        assertFails(result, EXIT.sourceUnfit, /it overflowed while it was being sent/);
        assert.notEqual(laboratory.hash(), former, 'part of it was written');
        const refused = laboratory.turn();
        assertFails(refused, EXIT.sourceUnfit, /it overflowed, and .* holds part of it/);
        const lastLine = /.*\n$/;
        assert.equal(
          lastLine.exec(refused.stderr)?.[0].replace(/.*: /, ''),
          lastLine.exec(stderr)?.[0].replace(/.*: /, ''),
          'both name the same command',
        );
        runAdvice(stderr);
        assert.equal(laboratory.hash(), former, 'what it held before');
        laboratory.turnSucceeds();
      },
    );
  }

  scenario(
    'because its copy was enlarged with the origin is taken under --force, with what both gained',
    () => {
      const { path, size } = laboratory.origin;
      // LVM enlarges an origin with thick snapshots only while it is inactive.
      tool('lvchange', '-q', '-an', '-y', 'vg0/mail');
      for (const volume of ['vg0/mail', 'vg1/mail']) tool('lvextend', '-q', '-L', '+2M', volume);
      tool('lvchange', '-q', '-ay', 'vg0/mail');
      writeRandom(path, random, [{ offset: size + MiB, length: MiB }]);
      const refused = laboratory.turn();
      assertFails(
        refused,
        EXIT.destinationUnfit,
        /its size is .* bytes\), but the chain recorded .* bytes\)/,
      );
      laboratory.turnSucceeds('--force');
      writeSomething();
      laboratory.turnSucceeds();
    },
  );

  scenario('because its copy is another snapshot of the origin is refused', () => {
    tool('lvcreate', '-q', '-y', '-s', '-n', 'other', '-L', '4M', 'vg0/mail');
    const words = laboratory.words('--init').map((word) => {
      if (word === laboratory.copy.path) return '/dev/mapper/vg0-other';
      return word === laboratory.chain ? `${laboratory.chain}.other` : word;
    });
    const before = laboratory.snapshots();
    const refused = lvmsync(words);
    assertFails(refused, EXIT.destinationUnfit, /vg0-other/);
    assert.match(refused.stderr, /The new snapshot was removed\./);
    assert.deepEqual(laboratory.snapshots(), before);
    tool('lvremove', '-q', '-f', 'vg0/other');
  });

  scenario('because another volume is named is refused, and the right one is said', () => {
    tool('lvcreate', '-q', '-y', '-Wn', '-Zn', '-n', 'www', '-L', '4M', 'vg0');
    const before = laboratory.snapshots();
    const { status, stderr } = laboratory.turnOf('vg0/www');
    assert.equal(status, EXIT.sourceUnfit, stderr);
    assert.match(
      stderr,
      /vg0\/www: .* is the copy of vg0\/mail: it matches the snapshot vg0\/mail-/,
    );
    assert.match(stderr, /^Nothing was sent.*\nName vg0\/mail, or/m);
    assert.doesNotMatch(stderr, /--force/);
    assert.deepEqual(laboratory.snapshots(), before);
    tool('lvremove', '-q', '-f', 'vg0/www');
  });

  scenario('because another directory is named is refused, with --init, too', () => {
    const before = laboratory.snapshots();
    for (const options of [[], ['--init']]) {
      const result = laboratory.turnInto(`${laboratory.chain}.other`, ...options);
      assertFails(result, EXIT.destinationUnfit, /it is the copy of the chain in /);
      assert.match(result.stderr, /Use --snapback /);
    }
    assert.deepEqual(laboratory.snapshots(), before);
    laboratory.turnSucceeds();
  });

  /** Moves the clock of the guest. */
  const moveClock = (days: number): void => {
    tool('date', '-u', '-s', `@${Math.round(Date.now() / 1000) + days * 24 * 3600}`);
  };

  scenario(
    'because the clock was ahead once is none: times follow it until the clock has caught up',
    () => {
      moveClock(400);
      try {
        writeSomething();
        laboratory.turnSucceeds();
      } finally {
        moveClock(-400);
      }
      const future = /the newest snapshot is dated in the future/;
      const rehearsed = laboratory.turn('--dry-run');
      assert.equal(rehearsed.status, 0, rehearsed.stderr);
      assert.match(rehearsed.stderr, future);
      for (const options of [[], ['--init', '--force']]) {
        writeSomething();
        const { status, stderr } = laboratory.turn('--keep', '1h', ...options);
        assert.equal(status, 0, stderr);
        assert.match(stderr, future);
        assert.match(stderr, /no snapback is removed for its age before that time/);
        const [snapshot, ...others] = laboratory.snapshots();
        assert.deepEqual([snapshot?.uuid, others], [laboratory.point(), []]);
      }
    },
  );

  scenario('because no --size is given, or no volume is named, is refused', () => {
    const sizeless = laboratory.words().filter((word) => !['--size', '120%'].includes(word));
    assertFails(
      lvmsync(sizeless),
      EXIT.usage,
      /vg0\/mail: a thick volume: its snapshots need --size/,
    );
    const snapshot = laboratory.snapshots()[0]?.lvName ?? '';
    for (const [volume, expected, message] of [
      ['vg0/nothing', EXIT.usage, /no such logical volume/],
      [`vg0/${snapshot}`, EXIT.sourceUnfit, /name its origin instead/],
    ] as const) {
      assertFails(laboratory.turnOf(volume), expected, message);
    }
  });

  tests.run(5, random);
});
