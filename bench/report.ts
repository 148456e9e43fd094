/** The findings as a person reads them: Markdown tables. */

import type { Spread } from './cost.js';
import type { Machine } from './machine.js';
import type { JobResult } from './rounds.js';
import type { ScaleResult } from './scale.js';
import type { Findings, Verdict } from './targets.js';

export interface Report extends Findings {
  readonly when: string;
  readonly command: string;
  readonly machine: Machine;
  readonly media: string;
  readonly scale: readonly ScaleResult[];
  readonly verdicts: readonly Verdict[];
  /** What was not run, and why. */
  readonly left: readonly string[];
}

export function formatReport(report: Report): string {
  const { machine } = report;
  return [
    `Made with \`${report.command}\` at commit ${machine.commit} on ${report.when}: ` +
      `${machine.processor}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, ` +
      `Node ${machine.node}; ${report.media}. Medians (least to greatest).`,
    ...section('Targets', formatVerdicts(report.verdicts)),
    ...section(
      'Whole runs',
      formatJobs([...report.startup, ...report.local.map(([, large]) => large), ...report.compare]),
    ),
    ...section('Over ssh', formatSsh(report)),
    ...section('A link of 100 MB/s', formatLink(report)),
    ...section('Writes during a cycle', formatLatency(report)),
    ...section('Change lists', formatScale(report.scale)),
    ...section('Inner loops', formatMicro(report)),
    ...report.left.map((reason) => `Left out: ${reason}.`),
  ].join('\n\n');
}

function section(title: string, rows: readonly (readonly string[])[]): string[] {
  return rows.length < 2 ? [] : [`## ${title}`, table(rows)];
}

function table([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function formatVerdicts(verdicts: readonly Verdict[]): string[][] {
  const rows = verdicts.map(({ what, target, measured, met }) => [
    what,
    target,
    measured,
    met === undefined ? '' : met ? 'yes' : 'no',
  ]);
  return [['what', 'target', 'measured', 'met'], ...rows];
}

function formatJobs(jobs: readonly JobResult[]): string[][] {
  const head = [
    'job',
    'MiB',
    'program',
    'wall s',
    'CPU s',
    'all CPU s',
    'peak MiB',
    'wall / limit',
    'CPU / limit',
  ];
  const rows = jobs.flatMap(({ name, bytes, results }) =>
    results.map((result, index) => [
      index === 0 ? name : '',
      index === 0 ? mebibytes(bytes) : '',
      result.name,
      span(result.wall),
      span(result.cpu),
      span(result.machineCpu),
      result.peakMiB.toFixed(0),
      result.wallRatio === undefined ? '' : span(result.wallRatio),
      result.cpuRatio === undefined ? '' : span(result.cpuRatio),
    ]),
  );
  return [head, ...rows];
}

function formatSsh({ ssh }: Findings): string[][] {
  const head = [
    'job',
    'MiB',
    'cat, s',
    'dd, s',
    'lvmsync, s',
    'all CPU s of cat',
    'of dd',
    'of lvmsync',
    'throughput / cat',
    '/ dd',
    'our CPU / ssh',
    'peak MiB',
  ];
  const rows = ssh
    .flat()
    .map((run) => [
      run.name,
      mebibytes(run.bytes),
      span(run.catWall),
      span(run.ddWall),
      span(run.oursWall),
      ...[run.catMachine, run.ddMachine, run.oursMachine].map(({ median }) => median.toFixed(2)),
      span(run.throughput),
      span(run.toDd),
      span(run.cpuShare),
      run.peakMiB.toFixed(0),
    ]);
  return [head, ...rows];
}

function formatLink({ link }: Findings): string[][] {
  const head = ['data', 'MiB', 'uncompressed, s', 'LZ4, s', 'gain', 'CPU s', 'peak MiB'];
  const rows = link.map((run) => [
    run.name,
    mebibytes(run.bytes),
    span(run.plainWall),
    span(run.packedWall),
    span(run.gain),
    span(run.packedCpu),
    run.peakMiB.toFixed(0),
  ]);
  return [head, ...rows];
}

function formatLatency({ latency }: Findings): string[][] {
  const alone = 'p99 with two snapshots, ms';
  const head = ['turn', 'writes', alone, 'p99 during it, ms', 'longest turn, s', 'ratio'];
  if (latency === undefined) return [head];
  if ('why' in latency) return [head, [`not measured: ${latency.why}`, '', '', '', '', '']];
  const rows = latency.map((one) => [
    `cycle${one.manner}`,
    `${one.writes}`,
    span(one.alone),
    span(one.during),
    one.longestTurn.toFixed(1),
    span(one.ratio),
  ]);
  return [head, ...rows];
}

function formatScale(scale: readonly ScaleResult[]): string[][] {
  const head = ['exceptions', 'origin', 's', 'CPU s', 'million/s', 'peak MiB', 'bytes each'];
  const rows = scale.map((one) => [
    one.exceptions.toLocaleString('en'),
    `${one.originTiB} TiB`,
    one.seconds.toFixed(2),
    one.cpuSeconds.toFixed(2),
    (one.exceptions / one.seconds / 1e6).toFixed(1),
    one.peakMiB.toFixed(0),
    one.bytesPerException.toFixed(1),
  ]);
  return [head, ...rows];
}

function formatMicro({ micro }: Findings): string[][] {
  const rows = micro.map(({ name, unit, rate, errorPercent }) => [
    name,
    `${Math.round(rate).toLocaleString('en')} ${unit}/s`,
    `${errorPercent.toFixed(1)} %`,
  ]);
  return [['loop', 'rate', 'error'], ...rows];
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0);
}

function span({ median, least, greatest }: Spread): string {
  return `${median.toFixed(2)} (${least.toFixed(2)} to ${greatest.toFixed(2)})`;
}
