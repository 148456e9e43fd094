/** Horizontal bars in SVG: seconds of each program for each job, with the least and the greatest. */

import type { JobResult, Result } from './rounds.js';
import type { Findings } from './targets.js';

const WIDTH = 800;
const LABELS = 190;
const NUMBERS = 70;
const BAR = 16;
const GAP = 4;
const TITLE = 26;
const COLOURS: Record<Result['role'], string> = {
  limit: '#9aa5b1',
  ours: '#2f6f4f',
  other: '#c9a227',
};

/** What people mostly do: the other jobs are in the tables. */
const CHARTED = /^(local sync|with snapback)/;

/** Each job has a scale of its own: what is compared stands together. */
export function drawChart({ local }: Findings): string {
  const jobs = local.map(([, large]) => large).filter(({ name }) => CHARTED.test(name));
  let top = 0;
  const parts = jobs.map((job) => {
    const part = drawJob(job, top);
    top += TITLE + job.results.length * (BAR + GAP) + GAP;
    return part;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${top}" fill="#ffffff"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

function drawJob({ name, bytes, results }: JobResult, top: number): string {
  const longest = Math.max(...results.map(({ wall }) => wall.greatest));
  const scale = (WIDTH - LABELS - NUMBERS) / longest;
  const title = escapeXml(`${name}: ${(bytes / 2 ** 20).toFixed(0)} MiB`);
  const bars = results.map((result, index) =>
    drawBar(result, top + TITLE + index * (BAR + GAP), scale),
  );
  return [`<text x="4" y="${top + 18}" font-weight="bold">${title}</text>`, ...bars].join('\n');
}

function drawBar({ name, role, wall }: Result, top: number, scale: number): string {
  const [middle, x] = [top + BAR / 2, (seconds: number) => (LABELS + seconds * scale).toFixed(1)];
  const width = (wall.median * scale).toFixed(1);
  return [
    `<text x="${LABELS - 6}" y="${top + 12}" text-anchor="end">${escapeXml(name)}</text>`,
    `<rect x="${LABELS}" y="${top}" width="${width}" height="${BAR}" fill="${COLOURS[role]}"/>`,
    `<line x1="${x(wall.least)}" x2="${x(wall.greatest)}" y1="${middle}" y2="${middle}" stroke="#222222"/>`,
    `<text x="${WIDTH - 4}" y="${top + 12}" text-anchor="end">${wall.median.toFixed(2)} s</text>`,
  ].join('\n');
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
