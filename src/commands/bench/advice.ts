/** From what was measured to what holds a run up, and which options help. Pure. */

import { humanSize } from '../../base/text.js';
import { type BenchRow, formatRange, type Measured } from './report.js';

export interface Advice {
  /** The stage that a run would wait for; undefined where there is nothing to compare. */
  readonly bottleneck: Measured | undefined;
  /** To be added to a sync. */
  readonly options: readonly string[];
  /** The rate of a whole run that is mostly sequential, with these options; undefined: not known. */
  readonly bytesPerSecond: number | undefined;
  readonly text: string;
}

/** Less gain is not worth an option. */
const WORTHWHILE = 1.15;
/** The share that --bwlimit takes; the rest is left to others. */
const SHARE_TAKEN = 0.7;

const NAMES: Readonly<Record<Measured, string>> = {
  read: 'Reading the source',
  hash: 'Hashing',
  lz4: 'LZ4',
  link: 'The link',
  write: 'Writing',
};

/** Samples further apart than this say little of the next run. */
const NOISY = 1.5;

interface Stage {
  readonly what: Measured;
  readonly rate: number;
  /** Of the samples. */
  readonly lowest: number;
  readonly highest: number;
}

export function advise(rows: readonly BenchRow[]): Advice {
  const fixed = (['read', 'hash', 'write'] as const).flatMap((what) => stageOf(rows, what));
  const link = linkOf(rows, Math.min(...fixed.map(({ rate }) => rate)));
  const stages = [...fixed, ...link.stages];
  const slowest = stages.reduce<Stage | undefined>(
    (least, stage) => (least === undefined || stage.rate < least.rate ? stage : least),
    undefined,
  );
  // The processor of this host alone says nothing of a run.
  if (slowest === undefined || stages.every(({ what }) => what === 'hash')) return NOTHING;
  const doubtful = stages.filter((stage) => mayHoldUp(stage, slowest));
  if (doubtful.length > 0) return { ...NOTHING, text: tooNoisy(doubtful) };
  const { options } = link;
  const { what, rate } = slowest;
  const known = { bottleneck: what, options, bytesPerSecond: rate };
  return { ...known, text: `${sentenceOn(slowest, options)}${scatteredNote(rows, rate)}` };
}

const NOTHING: Advice = {
  bottleneck: undefined,
  options: [],
  bytesPerSecond: undefined,
  text: 'Not enough was measured to name a bottleneck: give a SNAPSHOT or DEVICE, and HOST:.',
};

/** Whether its samples lie far apart, and some of them below the part that seems to be the slowest. */
function mayHoldUp({ lowest, highest }: Stage, slowest: Stage): boolean {
  return highest > lowest * NOISY && lowest <= slowest.rate;
}

function tooNoisy(stages: readonly Stage[]): string {
  const parts = stages.map((stage) => `${NAMES[stage.what].toLowerCase()} (${formatRange(stage)})`);
  return `Too noisy to name a bottleneck: ${parts.join(', ')} a second. Measure again when nothing else uses the machine, its disks and the link.`;
}

/** The best that was measured; of both hosts the slower one. */
function stageOf(rows: readonly BenchRow[], what: 'read' | 'hash' | 'write'): Stage[] {
  const best = new Map<string | undefined, Stage>();
  for (const { host, ...row } of rows) {
    const stage = toStage(row);
    if (row.what === what && stage.rate > (best.get(host)?.rate ?? 0)) best.set(host, stage);
  }
  return [...best.values()].sort((a, b) => a.rate - b.rate).slice(0, 1);
}

function toStage({ what, bytesPerSecond: rate, lowest, highest }: BenchRow): Stage {
  return { what, rate, lowest: lowest ?? rate, highest: highest ?? rate };
}

/** As fast as the same is with an option. */
function scale({ lowest, highest, ...stage }: Stage, rate: number): Stage {
  const factor = rate / stage.rate;
  return { ...stage, rate, lowest: lowest * factor, highest: highest * factor };
}

/** As fast as options make it; none is advised that the slowest other part would waste. */
function linkOf(
  rows: readonly BenchRow[],
  others: number,
): { readonly stages: readonly Stage[]; readonly options: readonly string[] } {
  const links = rows.filter(({ what }) => what === 'link');
  const one = links.find(({ streams }) => streams === 1);
  if (one === undefined) return { stages: [], options: [] };
  const options: string[] = [];
  let stage = toStage(one);
  const many = links.reduce((best, row) => (row.bytesPerSecond > best.bytesPerSecond ? row : best));
  if (stage.rate < others && many.bytesPerSecond >= stage.rate * WORTHWHILE) {
    stage = toStage(many);
    options.push('--streams', `${many.streams}`);
  }
  const { rate } = stage;
  const lz4 = rows.find(({ what }) => what === 'lz4');
  if (lz4 === undefined || rate >= others) return { stages: [stage], options };
  const packed = scale(stage, rate * (lz4.ratio ?? 1));
  const slower = packed.rate < lz4.bytesPerSecond ? packed : toStage(lz4);
  if (slower.rate < rate * WORTHWHILE) return { stages: [stage], options };
  return { stages: [slower], options: [...options, '--compress'] };
}

function sentenceOn({ what, rate }: Stage, options: readonly string[]): string {
  const speed = `${humanSize(rate)} per second`;
  if (options.length > 0) {
    return `Use ${options.join(' ')}: the bottleneck is then ${NAMES[what].toLowerCase()}, at ${speed}.`;
  }
  const limit = rateOption(rate * SHARE_TAKEN);
  return `${NAMES[what]} is the bottleneck, at ${speed}. No option makes it faster; ${limit} leaves a part of it to other programs.`;
}

/** As --bwlimit takes it. */
function rateOption(bytesPerSecond: number): string {
  const mib = bytesPerSecond / (1024 * 1024);
  if (mib >= 1) return `--bwlimit ${Math.floor(mib)}M`;
  return `--bwlimit ${Math.max(1, Math.floor(bytesPerSecond / 1024))}K`;
}

/** Changes are seldom in a row. */
function scatteredNote(rows: readonly BenchRow[], rate: number): string {
  const random = rows
    .filter(({ what, order }) => what === 'read' && order === 'random')
    .sort((a, b) => (a.requestSize ?? 0) - (b.requestSize ?? 0));
  const [least] = random;
  if (least === undefined || least.bytesPerSecond >= rate) return '';
  const size = humanSize(least.requestSize ?? 0).replace('.0', '');
  return ` Changes scattered in pieces of ${size} are read at only ${humanSize(least.bytesPerSecond)} per second.`;
}
