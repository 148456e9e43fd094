/** T4: system calls of the program, as it ships, that fail: each kind, at many places, once or from then on. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Campaign, campaignSize } from '../helpers/faults/campaign.js';
import { type RunKind, UndoLaboratory } from '../helpers/faults/undo-laboratory.js';
import type { UndoableRun } from '../helpers/faults/undoable-run.js';
import { inLanes, repeated } from '../helpers/lanes.js';
import {
  assertFails,
  assertSucceeds,
  CLI,
  type CliResult,
  canTrace,
} from '../helpers/program/cli.js';
import { runInProcess } from '../helpers/program/in-process.js';
import { runProcess, type TracedResult, tracedLvmsync } from '../helpers/program/traced-cli.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';

const random = new Random();
const folder = scratchFolder();
const CHUNK = 16 * 1024;
const CHUNKS = 288;
// Two batches. The last chunk is changed, and the end of the device cuts it off a page's boundary.
const changedChunks = [...random.distinct(CHUNKS / 2, CHUNKS - 1), CHUNKS - 1];
const size = CHUNKS * CHUNK - 2048;
/** Bytes: every run writes a file up to there, or further. */
const LEAST_WRITTEN = (changedChunks.length - 1) * CHUNK;
const laboratory = new UndoLaboratory(folder, { chunkSize: CHUNK, size, changedChunks });
const { source, stream } = laboratory;

const ROLES = ['data', 'store', 'destination', 'snapback', 'folder', 'stream', 'stdout'] as const;
type Role = (typeof ROLES)[number];

function pathOf(role: Role, files: UndoableRun): string {
  const { data, cowStore: store } = source;
  const { destination, snapback } = files;
  const stdout = join(files.folder, 'stdout');
  return { data, store, destination, snapback, folder: files.folder, stream, stdout }[role];
}

interface Scenario extends Omit<RunKind, 'name'> {
  readonly name: RunKind['name'] | 'dump';
  /** Throws unless what the run left agrees with how it ended. */
  verify(files: UndoableRun, result: CliResult): Promise<void>;
  /** Which calls on which file fail, and the exit status of each. */
  readonly faults: Partial<Record<Role, Readonly<Record<string, number>>>>;
}

const READING = { openat: 10, pread64: 11 };
const WRITING = { openat: 12, flock: 12, pread64: 13, pwrite64: 13, fsync: 13, close: 13 };
const SAVING = { openat: 16, fchmod: 16, ftruncate: 16, writev: 16, fdatasync: 16, close: 16 };
const LISTING = { openat: 16, fsync: 16 };
const FAULTS: Record<RunKind['name'], Scenario['faults']> = {
  sync: {
    data: READING,
    store: READING,
    destination: WRITING,
    snapback: SAVING,
    folder: LISTING,
  },
  apply: {
    stream: { openat: 1, read: 14 },
    destination: WRITING,
    snapback: SAVING,
    folder: LISTING,
  },
  rollback: { snapback: { openat: 1, read: 14 }, destination: WRITING },
};

const scenarios: readonly Scenario[] = [
  ...laboratory.kinds.map((kind) => ({
    ...kind,
    verify: kind.name === 'rollback' ? verifyRollback : verifyRun,
    faults: FAULTS[kind.name],
  })),
  {
    name: 'dump',
    prepare: async (files) => files.reset(),
    words: () => [...source.words, '--stdout'],
    verify: verifyDump,
    faults: { data: READING, store: READING, stdout: { writev: 13, fdatasync: 13 } },
  },
];

async function verifyRun(files: UndoableRun, result: CliResult): Promise<void> {
  if (result.status === 0) files.assertHolds('new', 'after status 0');
  files.assertTruthful(result);
  await files.undo();
}

async function verifyRollback(files: UndoableRun, { status }: CliResult): Promise<void> {
  if (status === 0) files.assertHolds('former', 'after status 0');
  assertSucceeds(await runInProcess(['--apply', files.snapback, files.destination]));
  files.assertHolds('former', 'after another try');
}

/** A stream that was not written whole must not be taken for one. */
async function verifyDump(files: UndoableRun, { status }: CliResult): Promise<void> {
  const applied = await runInProcess(['--apply', pathOf('stdout', files), files.destination]);
  if (status === 0) assertSucceeds(applied);
  if (applied.status === 0) files.assertHolds('new', 'after the stream was accepted');
}

/** One kind of call on one file of one scenario. */
interface Site {
  readonly scenario: Scenario;
  readonly role: Role;
  readonly call: string;
  readonly status: number;
}

interface Fault extends Site {
  /** In the words of strace. */
  readonly effect: string;
  /** Which of a thread's calls. */
  readonly nth: number;
  readonly persistent: boolean;
}

const TRANSFERS = ['read', 'writev', 'pread64', 'pwrite64'];
/** What a call may be asked to do again after; for ever, it would be. */
const PASSING = ['EINTR', 'EAGAIN'];

function variants(site: Site, most: number): Fault[] {
  const { call, scenario } = site;
  const errors = ['EIO', 'ENOSPC', 'EINTR', ...(TRANSFERS.includes(call) ? ['EAGAIN'] : [])];
  const effects = errors.map((error) => `error=${error}`);
  // A snapback that ends early is one whose run was cut off: that end is believed.
  if (TRANSFERS.includes(call) && scenario.name !== 'rollback') effects.push('retval=0');
  return effects.flatMap((effect) =>
    Array.from({ length: most }, (_, i) => i + 1).flatMap((nth) => {
      const once = { ...site, effect, nth, persistent: false };
      const passes = PASSING.some((error) => effect.endsWith(error));
      return passes ? [once] : [once, { ...once, persistent: true }];
    }),
  );
}

/** How often the busiest thread makes that call on that file. */
function mostByThread({ trace }: TracedResult, call: string, path: string): number {
  const counts = new Map<string, number>();
  for (const line of trace.split('\n')) {
    const [thread = '', rest = ''] = line.split(/\s+(.*)/);
    if (!rest.startsWith(`${call}(`)) continue;
    if (!rest.includes(`<${path}>`) && !rest.includes(`"${path}"`)) continue;
    counts.set(thread, (counts.get(thread) ?? 0) + 1);
  }
  return Math.max(0, ...counts.values());
}

/** All faults of all sites, those of each in random order, taking turns, so that any number is spread. */
async function spreadFaults(files: UndoableRun): Promise<Fault[]> {
  const queues: Fault[][] = [];
  for (const scenario of scenarios) queues.push(...(await faultsBySite(scenario, files)));
  const longest = Math.max(...queues.map(({ length }) => length));
  return Array.from({ length: longest }, (_, turn) =>
    queues.flatMap((queue) => queue[turn] ?? []),
  ).flat();
}

/** For each site what can go wrong there, in random order; from a run that is only watched. */
async function faultsBySite(scenario: Scenario, files: UndoableRun): Promise<Fault[][]> {
  const sites = ROLES.flatMap((role) =>
    Object.entries(scenario.faults[role] ?? {}).map(([call, status]) => ({
      scenario,
      role,
      call,
      status,
    })),
  );
  const paths = [...new Set(sites.map(({ role }) => pathOf(role, files)))];
  const calls = [...new Set(sites.map(({ call }) => call))];
  await scenario.prepare(files);
  const observed = await trace(scenario, files, { paths, calls });
  assertSucceeds(observed);
  return sites.map((site) => {
    const most = mostByThread(observed, site.call, pathOf(site.role, files));
    assert.ok(most > 0, `${scenario.name} never calls ${site.call} on its ${site.role}`);
    const all = variants(site, most);
    return random.distinct(all.length, all.length).flatMap((index) => all[index] ?? []);
  });
}

function trace(
  scenario: Scenario,
  files: UndoableRun,
  what: {
    readonly paths: readonly string[];
    readonly calls: readonly string[];
    readonly inject?: string;
  },
): Promise<TracedResult> {
  const output = join(files.folder, 'trace');
  const stdout = pathOf('stdout', files);
  return tracedLvmsync(scenario.words(files), { ...what, output, stdout });
}

/** Whether the run may have got over it. */
function survivable({ call, effect, role, persistent }: Fault): boolean {
  // Node repeats what was interrupted, as the core does with transfers, but not with flushes.
  if (effect === 'error=EINTR') return role === 'folder' || !/^f(data)?sync$/.test(call);
  if (effect === 'error=EAGAIN') return true;
  // A read or write that failed is tried once more in small pieces.
  if (/^p(read|write)64$/.test(call) && effect === 'error=EIO') return !persistent;
  // Devices are opened a second time, past the page cache, which some file systems refuse.
  return call === 'openat' && ['data', 'store', 'destination'].includes(role);
}

/** What the line of the failure says. */
function message({ role, call, effect }: Fault, files: UndoableRun): RegExp {
  const named = { folder: pathOf('snapback', files), stdout: 'standard output' };
  const path = role === 'folder' || role === 'stdout' ? named[role] : pathOf(role, files);
  const [, error] = effect.split('error=');
  // Nothing read is an end, nothing written a full disk.
  if (error === undefined)
    return new RegExp(`${path}: .*(ENOSPC|it ends there|it is cut off|it is empty)`);
  const where = /^(p(read|write)64|writev)$/.test(call) ? ' at byte \\d+' : '';
  return new RegExp(`${path}: .*${where}.*${error}`);
}

async function verifyFault(fault: Fault, files: UndoableRun, result: CliResult): Promise<void> {
  const survived = result.status === 0 && survivable(fault);
  if (!survived) assertFails(result, fault.status, message(fault, files));
  await fault.scenario.verify(files, result);
}

await laboratory.fill();

describe('a system call that fails', {
  skip: canTrace() ? false : 'strace is not permitted here',
}, () => {
  test('ends the run with the status of its kind, or not at all, and what was done can be undone', async (t) => {
    const campaign = new Campaign(t, 'T4 failing system calls (strace)', random.seed);
    const wanted = campaignSize({ commit: 50, release: 2000 });
    const faults = await spreadFaults(laboratory.lane(0));
    await inLanes(repeated(faults, wanted), async (fault, lane) => {
      if (campaign.cases >= wanted) return;
      const files = laboratory.lane(lane);
      const { scenario, role, call, effect, nth, persistent } = fault;
      const inject = `${call}:${effect}:when=${nth}${persistent ? '+' : ''}`;
      await scenario.prepare(files);
      const what = { paths: [pathOf(role, files)], calls: [call], inject };
      const result = await trace(scenario, files, what);
      // Which thread does what is open: in some runs none comes to its n-th call.
      if (!result.trace.includes('(INJECTED)')) return;
      await campaign.run(`${scenario.name}: ${role}, ${inject}`, () =>
        verifyFault(fault, files, result),
      );
    });
    campaign.finish(wanted);
  });
});

describe('a limit on the size of files', () => {
  test('cuts writes short at any byte and fails the next: the run says where, and can be undone', async (t) => {
    const campaign = new Campaign(t, 'T4 short writes (limit on file size)', random.seed);
    const cases = campaignSize({ commit: 24, release: 500 });
    const limited = scenarios.filter(({ name }) => name !== 'rollback');
    // Below a page it would hit the run's lock file.
    const limits = Array.from({ length: cases }, () => 4096 + random.below(LEAST_WRITTEN - 4096));
    await inLanes(limits.entries(), async ([number, limit], lane) => {
      const files = laboratory.lane(lane);
      const scenario = limited[number % limited.length];
      assert.ok(scenario);
      await scenario.prepare(files);
      const words = [`--fsize=${limit}`, process.execPath, CLI, ...scenario.words(files)];
      const result = await runProcess('prlimit', words, { stdout: pathOf('stdout', files) });
      await campaign.run(`${scenario.name} up to ${limit} bytes`, async () => {
        // Which file meets the limit first is open.
        const saving = result.stderr.includes('FATAL ERROR: snapback');
        const file = scenario.name === 'dump' ? 'standard output' : `${files.folder}/\\w+`;
        const why = `${file}: write error at byte \\d+ \\((EFBIG|EINVAL):`;
        assertFails(result, saving ? 16 : 13, new RegExp(why));
        await scenario.verify(files, result);
      });
    });
    campaign.finish(cases);
  });
});
