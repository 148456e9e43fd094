/** What a command costs: the clock, the processor and memory, and what many rounds of it say. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { builtTool } from './native-tools.js';

/** Certificates that a site adds to each Node make each start of it slower, and say nothing of ours. */
const { NODE_EXTRA_CA_CERTS: _certificates, ...ENVIRONMENT } = process.env;

export interface Cost {
  /** Seconds on the clock. */
  readonly wall: number;
  /** Processor seconds of all processes, user and system; threads of the kernel are nobody's. */
  readonly cpu: number;
  /** The greatest peak of any one process, in MiB. */
  readonly peakMiB: number;
}

/** Runs `words`, for example `['sh', '-c', 'a | b']`. Throws with its messages where it fails. */
export function costOf(words: readonly string[], env: NodeJS.ProcessEnv = {}): Cost {
  const folder = mkdtempSync(join(tmpdir(), 'lvmsync-cost-'));
  const report = join(folder, 'report');
  try {
    const { status, stderr, error } = spawnSync(builtTool('measured'), [report, ...words], {
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
      env: { ...ENVIRONMENT, ...env },
    });
    if (error !== undefined) throw error;
    if (status !== 0) throw new Error(`${words.join(' ')}: status ${status}\n${stderr}`);
    const [wall = 0, user = 0, system = 0, peakKiB = 0] = readFileSync(report, 'utf8')
      .split(' ')
      .map(Number);
    return { wall, cpu: user + system, peakMiB: peakKiB / 1024 };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly greatest: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  return {
    median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2,
    least: at(0),
    greatest: at(sorted.length - 1),
  };
}
