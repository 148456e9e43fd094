import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import { campaignSize } from '../../helpers/faults/campaign.js';
import { assertFails, type CliResult } from '../../helpers/program/cli.js';
import { onlyValue } from '../../helpers/program/prometheus.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { fillRandom, writeRandom } from '../harness/content.js';
import { CycleLaboratory } from '../harness/cycles.js';
import { KiB, MiB } from '../harness/lvm.js';
import { tool } from '../harness/tool.js';

const random = new Random();
const metrics = `${scratchFolder()}/cycle.prom`;

const good = ({ status, stderr }: CliResult): string => {
  assert.equal(status, 0, stderr);
  return stderr;
};

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

test('the room of the snapshots of a thick volume of 8 MiB, in extents of 1 MiB', async () => {
  const laboratory = new CycleLaboratory('thick', random);
  const auto = (...options: string[]): CliResult => laboratory.turn('--size', 'auto', ...options);
  const fill = (extents: string): void =>
    void tool('lvcreate', '-q', '-y', '-Wn', '-Zn', '-l', extents, '-n', 'full', 'vg0');

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

  // No room at all.
  fill('100%FREE');
  const refused = auto('--dry-run');
  const tooLittle = /vg0: too little room for a new snapshot: 0 B are free, and the last interval/;
  assertFails(
    { ...refused, stderr: refused.stderr.replace(/^WARNING.*\n/, '') },
    EXIT.sourceUnfit,
    tooLittle,
  );
  assert.match(refused.stderr, /^At least 2\.0 MiB are missing, and 3\.0 MiB for the size/m);

  // Less than there should be; and killed when the new snapshot is there.
  tool('lvreduce', '-q', '-f', '-l', '-2', 'vg0/full');
  const turn = laboratory.startTurn('--size', 'auto', '--bwlimit', '20K');
  const [said, ended] = [text(turn.stderr), once(turn, 'exit')];
  await laboratory.isUnderWay(turn);
  process.kill(-(turn.pid ?? 0), 'SIGKILL');
  await ended;
  assert.match(warnings(await said).join('\n'), /only 2\.0 MiB are free, so the new snapshot gets/);
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
  await laboratory.destroy();
});

const skip = campaignSize({ commit: 0, release: 1 }) === 0 && 'only for a release';
describe('the pool of a thin volume', { skip }, () => {
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
    await laboratory.destroy();
  });
});
