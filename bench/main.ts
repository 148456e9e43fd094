/**
 * `npm run bench`: runs what is asked for and prints it as Markdown. What is published, a whole run with
 * --full, goes to bench/results and docs/performance.md; any other to bench/results/tmp.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SCATTERED_4K, SCATTERED_64K } from './change-lists.js';
import { drawChart } from './chart.js';
import { compareJob } from './compared-turn.js';
import { writeIntoDocument } from './document.js';
import { runOverLink } from './link-runs.js';
import { removeStream, writeStream } from './local-jobs.js';
import { makeList, runLocal } from './local-runs.js';
import { describeMachine } from './machine.js';
import { Media, memoryFolder } from './media.js';
import { runMicro } from './micro.js';
import { formatReport, type Report } from './report.js';
import { runJobs } from './rounds.js';
import { runScale } from './scale.js';
import { SshLoopback } from './ssh-loopback.js';
import { runOverSsh } from './ssh-runs.js';
import { STARTUP } from './startup.js';
import { type Findings, judge } from './targets.js';
import { runWriterLatency, whyNoLatency } from './writer-latency.js';

const USAGE = `\
Usage: npm run bench [-- OPTIONS]

  --full                 larger devices and more rounds: what is published
  --only PART,...        of startup, local, compare, ssh, link, scale, micro, cycle
  --size MIB             of each of two devices; the default is 256, with --full 2048
  --rounds N             default 3, with --full 7
  --folder DIR           where the devices' files are made; default /dev/shm
  --bdsync PATH, --blocksync-fast PATH, --original PATH
                         programs to run beside ours
`;

const PARTS = ['startup', 'local', 'compare', 'ssh', 'link', 'scale', 'micro', 'cycle'] as const;
type Part = (typeof PARTS)[number];

const RESULTS = fileURLToPath(new URL('../../bench/results/', import.meta.url));
const MIB = 2 ** 20;

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', default: false },
    full: { type: 'boolean', default: false },
    only: { type: 'string', default: PARTS.join(',') },
    size: { type: 'string' },
    rounds: { type: 'string' },
    folder: { type: 'string', default: memoryFolder() },
    bdsync: { type: 'string' },
    'blocksync-fast': { type: 'string' },
    original: { type: 'string' },
  },
});
const { full, folder } = values;
const size = Number(values.size ?? (full ? 2048 : 256)) * MIB;
const rounds = Number(values.rounds ?? (full ? 7 : 3));
const left: string[] = [];

// From a terminal it reaches what runs at the moment, too: that fails, and the devices are given back.
process.on('SIGINT', () => undefined);

if (values.help) process.stdout.write(USAGE);
else await main();

async function main(): Promise<void> {
  const media = new Media(size, folder);
  let report: Report;
  try {
    report = await measure(media);
  } finally {
    media.close();
  }
  const text = formatReport(report);
  const whole = full && left.length === 0;
  const results = whole ? RESULTS : join(RESULTS, 'tmp');
  mkdirSync(results, { recursive: true });
  writeFileSync(join(results, 'latest.json'), `${JSON.stringify(report, null, 1)}\n`);
  writeFileSync(join(results, 'latest.md'), `${text}\n`);
  writeFileSync(join(results, 'latest.svg'), drawChart(report));
  if (whole) writeIntoDocument(text);
  process.stdout.write(`${text}\n`);
}

async function measure(media: Media): Promise<Report> {
  const tools = {
    bdsync: values.bdsync,
    blocksyncFast: values['blocksync-fast'],
    original: values.original,
  };
  const findings: Findings = {
    startup: part('startup') ? runJobs([STARTUP], 3 * rounds) : [],
    local: part('local') ? runLocal(media, tools, { rounds, say }) : [],
    compare: part('compare') ? runJobs([compareJob(media)], rounds) : [],
    ssh: part('ssh') ? await measureSsh(media) : [],
    link: part('link') ? measureLink(media) : [],
    micro: part('micro') ? await runMicro(media.folder, full ? 5 : 1) : [],
    latency: part('cycle') ? await measureLatency(media) : undefined,
  };
  const counts = full ? [1e6, 1e7, 1e8] : [1e6, 1e7];
  const scale = part('scale') ? runScale(media.file('scale.cow'), counts) : [];
  return {
    when: new Date().toISOString().slice(0, 10),
    command: ['npm run bench --', ...process.argv.slice(2)].join(' '),
    machine: describeMachine(),
    media: `${media.kind}, ${media.size / MIB} MiB each`,
    ...findings,
    scale,
    // A quick run is too short to be judged by.
    verdicts: full ? judge(findings) : [],
    left,
  };
}

function part(name: Part): boolean {
  if (!values.only.split(',').includes(name)) {
    left.push(`${name} (not asked for)`);
    return false;
  }
  say(name);
  return true;
}

async function measureSsh(media: Media): Promise<Findings['ssh']> {
  const missing = SshLoopback.missing();
  if (missing !== undefined) {
    left.push(`ssh (${missing})`);
    return [];
  }
  const ssh = await SshLoopback.start(media.file('ssh'));
  try {
    const results = [];
    for (const shape of [SCATTERED_4K, SCATTERED_64K]) {
      const lists = [
        makeList(media, shape, media.size / 2),
        makeList(media, shape, media.size),
      ] as const;
      for (const list of lists) writeStream(media, list);
      results.push(await runOverSsh({ media, ssh }, lists, rounds));
      for (const list of lists) removeStream(media, list);
    }
    return results;
  } finally {
    ssh.stop();
  }
}

async function measureLatency(media: Media): Promise<Findings['latency']> {
  const why = whyNoLatency();
  return why === undefined ? runWriterLatency(media, rounds) : { why };
}

function measureLink(media: Media): Findings['link'] {
  const list = makeList(media, SCATTERED_64K, media.size);
  const contents = ['halves', 'random'] as const;
  return contents.map((content) => runOverLink({ media, list, content }, Math.min(rounds, 3)));
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
