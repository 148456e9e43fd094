/** The figures of a run, in the text format of Prometheus; docs/json.md describes each name. Pure. */

import type { StoreUse } from '../run/run-tally.js';

/** In the order in which they are written. */
export type Labels = readonly (readonly [name: string, value: string])[];

export interface RunFigures {
  readonly exitStatus: number;
  readonly seconds: number;
  readonly bytes: number;
  /** Seconds since 1970. */
  readonly endedAt: number;
  /** Of a cycle. */
  readonly storeUse?: StoreUse;
}

interface Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  /** Undefined: there is nothing to say yet. `former` is what the file said before. */
  readonly value: (run: RunFigures, former: number | undefined) => number | undefined;
}

/** Every file of ours begins so. */
export const FIRST_WORDS = '# HELP lvmsync_';

const METRICS: readonly Metric[] = [
  {
    name: 'lvmsync_runs_total',
    type: 'counter',
    help: 'Finished runs.',
    value: (_run, former = 0) => former + 1,
  },
  {
    name: 'lvmsync_failures_total',
    type: 'counter',
    help: 'Runs whose exit status was not 0.',
    value: ({ exitStatus }, former = 0) => former + (exitStatus === 0 ? 0 : 1),
  },
  {
    name: 'lvmsync_bytes_total',
    type: 'counter',
    help: 'Bytes that the runs sent, wrote or compared.',
    value: ({ bytes }, former = 0) => former + bytes,
  },
  {
    name: 'lvmsync_seconds_total',
    type: 'counter',
    help: 'Seconds that the runs took.',
    value: ({ seconds }, former = 0) => inMilliseconds(former + seconds),
  },
  {
    name: 'lvmsync_last_run_bytes',
    type: 'gauge',
    help: 'Bytes that the last run sent, wrote or compared.',
    value: ({ bytes }) => bytes,
  },
  {
    name: 'lvmsync_last_run_seconds',
    type: 'gauge',
    help: 'Seconds that the last run took.',
    value: ({ seconds }) => inMilliseconds(seconds),
  },
  {
    name: 'lvmsync_last_run_exit_status',
    type: 'gauge',
    help: 'Exit status of the last run.',
    value: ({ exitStatus }) => exitStatus,
  },
  {
    name: 'lvmsync_last_end_timestamp_seconds',
    type: 'gauge',
    help: 'When the last run ended.',
    value: ({ endedAt }) => inMilliseconds(endedAt),
  },
  {
    name: 'lvmsync_last_success_timestamp_seconds',
    type: 'gauge',
    help: 'When a run last ended with exit status 0.',
    value: ({ exitStatus, endedAt }, former) =>
      exitStatus === 0 ? inMilliseconds(endedAt) : former,
  },
  storeMetric(
    'base_used_ratio',
    'How full the snapshot was that the last cycle run began from.',
    'base',
  ),
  storeMetric('base_wanted_bytes', 'Size that would suit the snapshots of the cycle.', 'wanted'),
  storeMetric('pool_data_used_ratio', 'How full the data space of the thin pool was.', 'data'),
  storeMetric(
    'pool_metadata_used_ratio',
    'How full the metadata space of the thin pool was.',
    'metadata',
  ),
];

/** A run that ended before it could look keeps what the last one saw. */
function storeMetric(name: string, help: string, key: keyof StoreUse): Metric {
  const value: Metric['value'] = ({ storeUse }, former) => {
    const now = storeUse?.[key];
    return now === undefined ? former : Number(now.toFixed(4));
  };
  return { name: `lvmsync_${name}`, type: 'gauge', help, value };
}

function inMilliseconds(seconds: number): number {
  return Number(seconds.toFixed(3));
}

/** The whole file after a run. The former figures count where their labels are the same. */
export function formatMetrics(former: string, labels: Labels, run: RunFigures): string {
  const lines = former.split('\n');
  const set = labels.map(([name, value]) => `${name}="${escapeLabel(value)}"`).join(',');
  return METRICS.map(({ name, type, help, value }) => {
    const series = `${name}{${set}} `;
    const now = value(run, formerValue(lines, series));
    const sample = now === undefined ? '' : `${series}${now}\n`;
    return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${sample}`;
  }).join('');
}

function formerValue(lines: readonly string[], series: string): number | undefined {
  const text = lines.find((line) => line.startsWith(series))?.slice(series.length);
  if (text === undefined || !/^\d+(\.\d+)?(e\+\d+)?$/.test(text)) return undefined;
  return Number(text);
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
