import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import { chainTag } from '../../../src/cycle/names.js';
import { assertFails, type CliResult, lvmsync, runTool } from '../../helpers/program/cli.js';
import { onlyValue } from '../../helpers/program/prometheus.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { contentHash, fillRandom, writeRandom } from '../harness/content.js';
import { CycleLaboratory } from '../harness/cycles.js';
import { KiB, MiB } from '../harness/lvm.js';
import { tool } from '../harness/tool.js';

const random = new Random();
const metrics = `${scratchFolder()}/cycle.prom`;

const good = ({ status, stderr }: CliResult): string => {
  assert.equal(status, 0, stderr);
  return stderr;
};

/** Has the time that snapshots of cycles have in their names. */
const DECOY = 'mail-lvmsync-20260101T000000Z';

function names(): string[] {
  const rows = tool('lvs', '--noheadings', '-o', 'lv_name', 'vg0').split('\n');
  return rows.map((row) => row.trim()).sort();
}

/** From here on lvremove kills who started it once it is done; returns what ends that. */
function killRemovers(): () => void {
  const folder = scratchFolder();
  const lvm = realpathSync('/usr/sbin/lvm');
  tool('cp', lvm, `${folder}/lvm`);
  const script = `#!/bin/sh\nname=$(basename "$0")\n${folder}/lvm "$name" "$@"\nstatus=$?\n[ "$name" = lvremove ] && kill -KILL $PPID\nexit $status\n`;
  writeFileSync(`${folder}/killing`, script, { mode: 0o755 });
  tool('mount', '--bind', `${folder}/killing`, lvm);
  return () => void tool('umount', lvm);
}

/** Of the snapshots, oldest first: MiB of its store, and what it remembers, in KiB. */
function stores(): [size: number, uses: number[]][] {
  const rows = tool(
    ...['lvs', '--noheadings', '--units', 'm', '--nosuffix', '-o', 'lv_size,lv_tags'],
    ...['--sort', 'lv_name', '--select', 'lv_tags=lvmsync_cycle', 'vg0'],
  );
  return rows.split('\n').map((row) => {
    const [size = '', tags = ''] = row.trim().split(/\s+/);
    const [, uses] = /lvmsync_used_([\d.]+)/.exec(tags) ?? [];
    return [Number(size), uses === undefined ? [] : uses.split('.').map(Number)];
  });
}

function warnings(stderr: string): string[] {
  return stderr.split('\n').filter((line) => line.startsWith('WARNING'));
}

describe('a cycle of a thick volume of 8 MiB, in extents of 1 MiB', () => {
  let laboratory: CycleLaboratory;
  before(() => {
    laboratory = new CycleLaboratory('thick', random);
  });
  after(() => laboratory.destroy());

  test('gives its snapshots the room that the last ones needed', async () => {
    const auto = (...options: string[]): CliResult => laboratory.turn('--size', 'auto', ...options);

    good(auto('--init'));
    assert.deepEqual(stores(), [[2, []]], '20% of the volume');
    const write = (length: number): void =>
      writeRandom(laboratory.origin.path, random, [{ offset: 0, length }]);
    write(1280 * KiB);

    const rehearsed = auto('--dry-run');
    const filled =
      /^WARNING: vg0\/mail-lvmsync-\w+: at the beginning of this run it is 6\d% full \(1\.3 MiB of 2\.0 MiB\); if .*: --size auto gives the next ones 3M, twice the most that the last interval used, 1\.3 MiB$/;
    const [warning = '', ...more] = warnings(good(rehearsed));
    assert.match(warning, filled);
    assert.deepEqual(more, []);
    const why =
      /^ {2}size +3\.0 MiB for the new snapshot: twice the most that the last interval used/m;
    assert.match(`${rehearsed.stdout}`, why);

    // Less than there should be; and killed when the new snapshot is there.
    tool('lvcreate', '-q', '-y', '-Wn', '-Zn', '-l', '100%FREE', '-n', 'full', 'vg0');
    tool('lvreduce', '-q', '-f', '-l', '-2', 'vg0/full');
    const turn = laboratory.startTurn('--size', 'auto', '--bwlimit', '20K');
    const [said, ended] = [text(turn.stderr), once(turn, 'exit')];
    await laboratory.isUnderWay(turn);
    process.kill(-(turn.pid ?? 0), 'SIGKILL');
    await ended;
    assert.match(
      warnings(await said).join('\n'),
      /only 2\.0 MiB are free, so the new snapshot gets/,
    );
    const [, [size, uses = []] = []] = stores();
    assert.equal(size, 2);
    assert.ok(uses.length === 1 && uses[0] !== undefined && uses[0] > 1280, `${uses}`);

    // The base goes on to fill; what it holds in the end is what counts.
    writeRandom(laboratory.origin.path, random, [{ offset: 4 * MiB, length: 256 * KiB }]);
    const again = good(laboratory.turn('--size', '1M', '--metrics', metrics));
    assert.match(
      warnings(again).join('\n'),
      /it is 7\d% full .*: give the next ones --size 4M, twice/,
    );
    const [[kept, later = []] = [], ...others] = stores();
    assert.deepEqual([kept, others], [2, []]);
    assert.ok(later.length === 1 && later[0] !== undefined && later[0] > 1536, `${later}`);
    const figures = readFileSync(metrics, 'utf8');
    const ratio = onlyValue(figures, 'lvmsync_base_used_ratio') ?? 0;
    assert.ok(ratio > 0.75 && ratio < 0.8, `${ratio}`);
    assert.ok((onlyValue(figures, 'lvmsync_base_wanted_bytes') ?? 0) > 3 * MiB);
    tool('lvremove', '-q', '-f', 'vg0/full');
  });

  const DEAD = 'backup:/dev/vg1/mail';
  /** Of a cycle to a host that does not answer; and one that only has such a name. */
  const addOthers = (): void => {
    const make = ['lvcreate', '-q', '-y', '--snapshot', '--size', '1M'];
    const tag = chainTag({ host: 'backup', path: '/dev/vg1/mail' }, laboratory.chain);
    const tags = ['lvmsync_cycle', tag, 'lvmsync_at_20260102T000000Z'];
    const added = tags.flatMap((one) => ['--addtag', one]);
    tool(...make, ...added, '--name', 'mail-lvmsync-20260102T000000Z', 'vg0/mail');
    tool(...make, '--name', DECOY, 'vg0/mail');
  };
  const end = (...options: string[]): CliResult => laboratory.turn('--end', ...options);

  test('makes no snapshot where the history could not begin', () => {
    const { copy, origin, chain } = laboratory;
    const groups = (): string => tool('lvs', '--noheadings', '-o', 'lv_full_name', 'vg0', 'vg1');
    const before = [groups(), contentHash(origin.path)];
    const spare = `${scratchFolder()}/spare`;
    writeFileSync(spare, '');
    const begin = (...words: string[]): CliResult =>
      lvmsync(['cycle', ...words, '--size', 'auto', '--init']);
    for (const dry of [[], ['--dry-run']]) {
      const turned = begin(copy.path, origin.path, '--snapback', `${chain}.turned`, ...dry);
      assertFails(
        turned,
        EXIT.destinationUnfit,
        /it is the VOLUME of a cycle, which made its snap/,
      );
      assert.match(turned.stderr, /the wrong way round\?/);
      const fresh = '/nowhere/mail.chain';
      const typed = begin(origin.path, spare, '--snapback', fresh, ...dry);
      assertFails(
        typed,
        EXIT.destinationUnfit,
        /\/nowhere\/mail\.chain: cannot be used for a chain/,
      );
      assert.match(typed.stderr, /Create it: mkdir -p \/nowhere/);
    }
    assert.deepEqual([groups(), contentHash(origin.path)], before);
  });

  test('ends: waits for a run, removes its snapshots only, and goes on after it was killed', async () => {
    addOthers();
    fillRandom(laboratory.origin.path, random, MiB / 2);
    const turn = laboratory.startTurn('--bwlimit', '20K');
    const ended = once(turn, 'exit');
    await laboratory.isUnderWay(turn);
    assertFails(end(), EXIT.locked, /the cycle of vg0\/mail: another lvmsync is at work on it/);
    process.kill(-(turn.pid ?? 0), 'SIGKILL');
    await ended;
    const before = names();
    const own = laboratory.snapshots().filter(({ lvName }) => !lvName.includes('20260102'));
    assert.equal(own.length, 2);

    const rehearsed = end('--dry-run');
    const undo =
      /^WARNING: the last cycle run was interrupted.*: lvmsync rollback --steps 0 \/dev/m;
    assert.match(good(rehearsed), undo);
    for (const { lvName } of own)
      assert.match(`${rehearsed.stdout}`, new RegExp(`remove +vg0/${lvName} of`));
    assert.deepEqual(names(), before);

    const restore = killRemovers();
    const words = [process.execPath, 'dist/lvmsync.cjs', ...laboratory.words('--end')];
    assert.equal(runTool(words).status, null, 'it was killed');
    restore();
    assert.equal(names().length, before.length - 1);
    const said = good(end());
    assert.match(
      said,
      /^Removed vg0\/mail-lvmsync-\w+ of .*\nThe cycle of vg0\/mail to .* has ended\. /m,
    );
    const left = before.filter((name) => own.every(({ lvName }) => lvName !== name));
    assert.deepEqual(names(), left);

    // There is another cycle; but the chain there is that of the one that was named.
    assert.match(good(end()), /^Nothing is left of the cycle of vg0\/mail to /m);
    assert.deepEqual(names(), left);
    const undone = lvmsync(['rollback', '--steps', '0', laboratory.copy.path, laboratory.chain]);
    good(undone);
  });

  test('ends without the host of the copy, but not where another cycle may have been meant', () => {
    const at = (directory: string): CliResult =>
      lvmsync(['cycle', '--end', 'vg0/mail', DEAD, '--snapback', directory, '--rsh', 'false']);
    const before = names();
    const other = at(`${laboratory.chain}.other`);
    assert.equal(other.status, EXIT.sourceUnfit, other.stderr);
    assert.match(
      other.stderr,
      /^WARNING: backup:\/dev\/vg1\/mail: lvmsync could not ask it whether/m,
    );
    assert.match(other.stderr, /but of another one: vg0\/mail-lvmsync-20260102T000000Z of /);
    assert.deepEqual(names(), before);
    good(at(laboratory.chain));
    assert.deepEqual(names(), ['mail', DECOY]);
    assert.match(good(at(laboratory.chain)), /^Nothing is left of .* stay on backup\.$/m);
  });

  test('does not end during a merge', () => {
    tool('lvremove', '-q', '-f', `vg0/${DECOY}`);
    addOthers();
    const [snapshot = assert.fail()] = laboratory.snapshots();
    const use = openSync(laboratory.origin.path, 'r');
    tool('lvconvert', '-q', '--merge', `vg0/${snapshot.lvName}`);
    const words = ['cycle', '--end', 'vg0/mail', DEAD, '--snapback', laboratory.chain];
    const refused = lvmsync(words);
    assertFails(refused, EXIT.sourceUnfit, /vg0\/mail-\S+: it is being merged into its origin/);
    assert.match(refused.stderr, /^Nothing was removed\.\n.*Then run the same command again\.$/m);
    assertFails(end(), EXIT.sourceUnfit, /vg0\/mail: a merge of vg0\/mail-lvmsync-\w+ into/);
    closeSync(use);
  });
});

describe('the pool of a thin volume', () => {
  test('is warned of when it is nearly full, and in the metrics', async () => {
    const laboratory = new CycleLaboratory('thin', random);
    tool('lvcreate', '-q', '-y', '-Wn', '-V', '50M', '-T', 'vg0/pool', '-n', 'filler');
    fillRandom('/dev/mapper/vg0-filler', random, 50 * MiB);
    const stderr = good(laboratory.turn('--init', '--metrics', metrics));
    const nearlyFull =
      /^WARNING: vg0\/pool: its data are 8\d% full, and when it is full, .*"lvextend --size \+SIZE vg0\/pool"$/m;
    assert.match(stderr, nearlyFull);
    const figures = readFileSync(metrics, 'utf8');
    assert.ok((onlyValue(figures, 'lvmsync_pool_data_used_ratio') ?? 0) > 0.8);
    assert.ok((onlyValue(figures, 'lvmsync_pool_metadata_used_ratio') ?? 1) < 0.8);
    assert.match(good(laboratory.turn('--end')), /^Removed vg0\/mail-lvmsync-/m);
    assert.deepEqual(laboratory.snapshots(), []);
    await laboratory.destroy();
  });
});
