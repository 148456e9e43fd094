import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { splitWords } from '../../../src/base/shell-words.js';
import { parseOptions } from '../../../src/cli/option-grammar.js';
import { toCommand } from '../../../src/cli/parse.js';
import { formatMetrics, type Labels, type RunFigures } from '../../../src/commands/metrics.js';
import { labelsOf } from '../../../src/commands/metrics-labels.js';
import { onlyValue, parsePrometheus } from '../../helpers/program/prometheus.js';

const LABELS: Labels = [
  ['command', 'sync'],
  ['volume', 'vg/snap'],
  ['destination', 'host:/dev/vg/copy'],
];
const GOOD: RunFigures = { exitStatus: 0, seconds: 1.5, bytes: 4096, endedAt: 1000.25 };
const BAD: RunFigures = { exitStatus: 13, seconds: 0.25, bytes: 100, endedAt: 2000.5 };
const document = readFileSync(new URL('../../../../docs/json.md', import.meta.url), 'utf8');

/** What the file says after these runs, one after another, without `lvmsync_` and the labels. */
function after(...runs: readonly RunFigures[]): Record<string, number | undefined> {
  const text = runs.reduce((former, run) => formatMetrics(former, LABELS, run), '');
  const names = [...parsePrometheus(text).keys()];
  const values = names.map((name) => [name.slice(8), onlyValue(text, name)] as const);
  return Object.fromEntries(values.filter(([, value]) => value !== undefined));
}

describe('metrics', () => {
  test('of a first run that succeeds', () => {
    assert.deepEqual(after(GOOD), {
      runs_total: 1,
      failures_total: 0,
      bytes_total: 4096,
      seconds_total: 1.5,
      last_run_bytes: 4096,
      last_run_seconds: 1.5,
      last_run_exit_status: 0,
      last_end_timestamp_seconds: 1000.25,
      last_success_timestamp_seconds: 1000.25,
    });
  });

  test('of a run that fails keep the time of the last success', () => {
    assert.deepEqual(after(GOOD, BAD), {
      runs_total: 2,
      failures_total: 1,
      bytes_total: 4196,
      seconds_total: 1.75,
      last_run_bytes: 100,
      last_run_seconds: 0.25,
      last_run_exit_status: 13,
      last_end_timestamp_seconds: 2000.5,
      last_success_timestamp_seconds: 1000.25,
    });
  });

  test('know no success before the first', () => {
    assert.equal(after(BAD).last_success_timestamp_seconds, undefined);
    assert.equal(after(BAD, GOOD).last_success_timestamp_seconds, 1000.25);
  });

  test('keep what was seen of the stores of a cycle until a run sees them again', () => {
    const cycle = { ...GOOD, storeUse: { base: 0.61234567, wanted: 4096 } };
    const { base_used_ratio, base_wanted_bytes, pool_data_used_ratio } = after(cycle, BAD);
    assert.deepEqual([base_used_ratio, base_wanted_bytes], [0.6123, 4096]);
    assert.equal(pool_data_used_ratio, undefined);
    assert.equal(after(cycle, { ...BAD, storeUse: { base: 0 } }).base_used_ratio, 0);
    const thin = after({ ...GOOD, storeUse: { data: 0.5, metadata: 0.25 } });
    assert.deepEqual([thin.pool_data_used_ratio, thin.pool_metadata_used_ratio], [0.5, 0.25]);
  });

  test('do not take over what was said of other labels', () => {
    const other = formatMetrics('', [['command', 'verify']], GOOD);
    assert.equal(onlyValue(formatMetrics(other, LABELS, BAD), 'lvmsync_runs_total'), 1);
    assert.doesNotMatch(formatMetrics(other, LABELS, BAD), /verify/);
  });

  test('survive a former file that was damaged, counting anew', () => {
    for (const damage of [/ 4096\n/g, / [\d.]+\n/g]) {
      const former = formatMetrics('', LABELS, GOOD).replace(damage, ' -1x\n');
      assert.equal(onlyValue(formatMetrics(former, LABELS, BAD), 'lvmsync_bytes_total'), 100);
    }
  });

  test('stay readable where numbers become huge', () => {
    const huge = { ...GOOD, bytes: 2 ** 80 };
    assert.equal(after(huge, huge).bytes_total, 2 ** 81);
  });

  test('escape what a label may hold', () => {
    const name = 'a "quoted" \\ path\nin two lines, {b="c"} ü';
    const text = formatMetrics('', [['volume', name]], GOOD);
    const twice = formatMetrics(text, [['volume', name]], GOOD);
    const [sample] = parsePrometheus(twice).get('lvmsync_runs_total')?.samples ?? [];
    assert.deepEqual(sample, { labels: { volume: name }, value: 2 });
  });

  test('are those that the document lists, with their types', () => {
    const rows = [...document.matchAll(/^\| `(lvmsync_\w+)` \| (\w+) \|/gm)];
    const documented = rows.map(([, name, type]) => [name, type]);
    const families = [...parsePrometheus(formatMetrics('', LABELS, GOOD))];
    assert.deepEqual(
      documented,
      families.map(([name, { type }]) => [name, type]),
    );
  });
});

describe('the example of the document', () => {
  test('is understood', () => {
    const [, text = ''] = /^```sh\n(lvmsync cycle .+?)^```$/ms.exec(document) ?? [];
    const [program, ...argv] = splitWords(text.replaceAll('\\\n', ' ').trim());
    const command = toCommand(parseOptions(argv));
    assert.equal(program, 'lvmsync');
    assert.ok('metrics' in command && command.metrics?.endsWith('.prom'));
  });
});

describe('labels', () => {
  const rows: readonly [words: string, labels: Record<string, string>][] = [
    ['vg/snap h:/d', { command: 'sync', volume: 'vg/snap', destination: 'h:/d' }],
    ['--stdout vg/snap', { command: 'dump', volume: 'vg/snap' }],
    ['--cow-store c -r o d', { command: 'sync', volume: 'o', destination: 'd' }],
    ['--apply changes d', { command: 'apply', destination: 'd' }],
    ['verify vg/snap d', { command: 'verify', volume: 'vg/snap', destination: 'd' }],
    ['cycle vg/lv h:/d -b c', { command: 'cycle', volume: 'vg/lv', destination: 'h:/d' }],
    ['rollback --redo d c', { command: 'rollback', destination: 'd' }],
  ];
  for (const [words, labels] of rows) {
    test(`of "${words}"`, () => {
      const command = toCommand(parseOptions([...words.split(' '), '--metrics', 'm.prom']));
      assert.ok('metrics' in command);
      assert.equal(command.metrics, 'm.prom');
      assert.deepEqual(Object.fromEntries(labelsOf(command)), labels);
    });
  }

  for (const words of ['inspect f', 'chain d', '--hash-blocks d', 'rollback --redo --dry-run d']) {
    test(`are not needed of "${words}", which keeps no figures`, () => {
      const argv = [...words.split(' '), '--metrics', 'm.prom'];
      assert.throws(() => toCommand(parseOptions(argv)), /--metrics cannot be used with/);
    });
  }
});
