/** From what was measured to what holds a run up, and which options help. Pure. */

import { humanSize } from '../../base/text.js';
import type { BenchRow, Measured } from './report.js';

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

interface Stage {
  readonly what: Measured;
  readonly rate: number;
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
  const { options } = link;
  const { what, rate } = slowest;
  const known = { bottleneck: what, options, bytesPerSecond: rate };
  return { ...known, text: `${sentenceOn(slowest, options)}${scatteredNote(rows, rate)}` };
}

const NOTHING: Advice = {
  bottleneck: undefined,
  options: [],
  bytesPerSecond: undefined,
  text: 'Not enough was measured to name a bottleneck: give a SNAPSHOT or DEVICE, and a HOST.',
};

/** The best that was measured; of both hosts the slower one. */
function stageOf(rows: readonly BenchRow[], what: 'read' | 'hash' | 'write'): Stage[] {
  const rates = new Map<string | undefined, number>();
  for (const { host, bytesPerSecond, ...row } of rows) {
    if (row.what === what) rates.set(host, Math.max(rates.get(host) ?? 0, bytesPerSecond));
  }
  return rates.size === 0 ? [] : [{ what, rate: Math.min(...rates.values()) }];
}

/** As fast as options make it; none is advised that the slowest other part would waste. */
function linkOf(
  rows: readonly BenchRow[],
  others: number,
): { readonly stages: readonly Stage[]; readonly options: readonly string[] } {
  const links = rows.filter(({ what }) => what === 'link');
  const one = links.find(({ streams }) => streams === 1)?.bytesPerSecond;
  if (one === undefined) return { stages: [], options: [] };
  const options: string[] = [];
  let rate = one;
  const many = links.reduce((best, row) => (row.bytesPerSecond > best.bytesPerSecond ? row : best));
  if (one < others && many.bytesPerSecond >= one * WORTHWHILE) {
    rate = many.bytesPerSecond;
    options.push('--streams', `${many.streams}`);
  }
  const lz4 = rows.find(({ what }) => what === 'lz4');
  const compressed = Math.min(rate * (lz4?.ratio ?? 1), lz4?.bytesPerSecond ?? 0);
  if (rate < others && compressed >= rate * WORTHWHILE) {
    const isLinkStill = compressed < (lz4?.bytesPerSecond ?? 0);
    options.push('--compress');
    return { stages: [{ what: isLinkStill ? 'link' : 'lz4', rate: compressed }], options };
  }
  return { stages: [{ what: 'link', rate }], options };
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
