/** What was measured beside what it should be. */

import type { LinkResult } from './link-runs.js';
import type { MicroResult } from './micro.js';
import { type JobResult, type Pair, ratioAt, slopeRatio } from './rounds.js';
import { type SshPair, sshRatioAt } from './ssh-runs.js';
import type { LatencyResult } from './writer-latency.js';

export interface Verdict {
  readonly what: string;
  readonly target: string;
  readonly measured: string;
  /** Undefined: it could not be measured here. */
  readonly met: boolean | undefined;
}

/** What a run of the benchmark found, each part in the order in which it was run. */
export interface Findings {
  /** Whole runs of this machine, at two sizes. */
  readonly local: readonly Pair[];
  readonly startup: readonly JobResult[];
  readonly compare: readonly JobResult[];
  readonly ssh: readonly SshPair[];
  readonly link: readonly LinkResult[];
  readonly micro: readonly MicroResult[];
  /** Undefined: not asked for. */
  readonly latency: readonly LatencyResult[] | { readonly why: string } | undefined;
}

const GIB = 2 ** 30;
const MOST_MEMORY = 150;
const DECODE_RATE = 20e6;

export function judge(findings: Findings): Verdict[] {
  const { startup, ssh, link, micro } = findings;
  const decodes = micro.filter(({ unit }) => unit === 'exceptions');
  const peaks = peaksOf(findings);
  return [
    ...findings.local.flatMap(judgeLocal),
    ...findings.compare.flatMap(judgeCompare),
    ...ssh.flatMap(judgeSsh),
    ...link.map(({ name, gain }) =>
      atLeast(
        `${name}, 100 MB/s`,
        gain.median,
        name.includes('halves') ? 1.8 : 0.97,
        'uncompressed',
      ),
    ),
    ...decodes.map(({ rate }) => {
      const measured = `${(rate / 1e6).toFixed(1)} million/s`;
      return line('exception decode', '>= 20 million/s', measured, rate >= DECODE_RATE);
    }),
    ...(peaks.length === 0 ? [] : [judgePeak(Math.max(...peaks))]),
    ...startup.flatMap(judgeStartup),
    ...judgeLatency(findings),
  ];
}

/** Whole runs by what 2 GiB of changes take; where extents are long, by what each byte takes. */
function judgeLocal(pair: Pair): Verdict[] {
  const { name } = pair[1];
  // A pipe costs two more copies and another process: for comparison, not for a verdict.
  if (name.includes(' a pipe,')) return [];
  const wall = ratioAt(pair, 'wall', 2 * GIB);
  if (/^--(stdout|apply)/.test(name))
    return [atLeast(`${name}, throughput`, 1 / wall, 0.85, 'the limit')];
  if (name.startsWith('verify'))
    return [atLeast(`${name}, throughput`, 1 / wall, 0.9, 'reading both')];
  if (name.startsWith('with snapback')) return [atMost(name, wall, 1.25, 'the limit')];
  if (!name.includes(' 4 KiB')) return [atMost(name, slopeRatio(pair, 'wall'), 1.05, 'the limit')];
  const cpu = ratioAt(pair, 'cpu', 2 * GIB);
  return [atMost(name, wall, 1.25, 'the limit'), atMost(`${name}, CPU`, cpu, 2, 'the limit')];
}

function judgeSsh(pair: SshPair): Verdict[] {
  const { name } = pair[1];
  const throughput = sshRatioAt(pair, ['catWall', 'oursWall'], 2 * GIB);
  const share = sshRatioAt(pair, ['oursCpu', 'sshCpu'], 2 * GIB);
  return [
    atLeast(`${name}, throughput`, throughput, 0.9, 'that of cat'),
    atMost(`${name}, our CPU`, share, 0.35, 'that of ssh'),
  ];
}

function judgeStartup({ name, results }: JobResult): Verdict[] {
  const ratio = results.find(({ role }) => role === 'ours')?.wallRatio?.median;
  return ratio === undefined ? [] : [atMost(name, ratio, 1.6, 'node -e 0')];
}

function judgeCompare({ name, results }: JobResult): Verdict[] {
  const ratio = results.find(({ role }) => role === 'ours')?.wallRatio?.median;
  return ratio === undefined ? [] : [atMost(name, ratio, 1.15, 'verify --full')];
}

function judgeLatency({ latency }: Findings): Verdict[] {
  const what = '99 of 100 writes to the origin during a turn of a cycle';
  const of = 'that with its snapshots alone';
  if (latency === undefined) return [];
  if (!('why' in latency)) {
    return latency.map(({ manner, ratio }) => atMost(`${what}${manner}`, ratio.median, 1.3, of));
  }
  const measured = `not measured: ${latency.why}`;
  return [{ what, target: `<= 1.3 x ${of}`, measured, met: undefined }];
}

function judgePeak(peak: number): Verdict {
  return line(
    'peak memory, every mode',
    '<= 150 MiB',
    `${peak.toFixed(0)} MiB`,
    peak <= MOST_MEMORY,
  );
}

function peaksOf({ local, ssh, link }: Findings): number[] {
  const jobs = local.flat().flatMap(({ results }) => results.filter(({ role }) => role === 'ours'));
  return [...jobs, ...ssh.flat(), ...link].map(({ peakMiB }) => peakMiB);
}

function atMost(what: string, value: number, bound: number, of: string): Verdict {
  return line(what, `<= ${bound} x ${of}`, `${value.toFixed(2)} x`, value <= bound);
}

function atLeast(what: string, value: number, bound: number, of: string): Verdict {
  return line(what, `>= ${bound} x ${of}`, `${value.toFixed(2)} x`, value >= bound);
}

function line(what: string, target: string, measured: string, met: boolean): Verdict {
  return { what, target, measured, met };
}
