/** T8: the other side misbehaves, whichever that is. Status 0 must mean that all is there and confirmed. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LvmsyncError } from '../../src/base/errors.js';
import { runApply } from '../../src/commands/apply.js';
import { native } from '../../src/host/native.js';
import { Reporter } from '../../src/run/reporter.js';
import { offlineSource } from '../helpers/devices/offline-source.js';
import { Campaign, campaignSize } from '../helpers/faults/campaign.js';
import { CLI } from '../helpers/program/cli.js';
import { Random } from '../helpers/random.js';
import { RemoteFixture } from '../helpers/remote/fake-rsh-fixture.js';
import { streamIdOf, type UnrulyPlan } from '../helpers/remote/fake-rsh-unruly.js';
import { framedStream, recordsOf } from '../helpers/streams/stream-parts.js';

/** A case that takes longer hangs, which is an escape. */
const PATIENCE_MS = 60_000;
const UNCONFIRMED = /^WARNING: backup: the receiver does not confirm what it wrote/m;
const UNRULY = fileURLToPath(new URL('../helpers/remote/fake-rsh-unruly.js', import.meta.url));
const LIAR = fileURLToPath(new URL('../helpers/remote/fake-rsh-liar.js', import.meta.url));

const fixture = new RemoteFixture();
// A login there finds the program: without it the receivers would be missing, not misbehave.
process.env.PATH = `${fixture.path('bin')}:${process.env.PATH}`;
const random = new Random();
const STRANGER = '0'.repeat(32);

function oneOf<T>(choices: readonly T[]): T {
  const choice = choices[random.below(choices.length)];
  assert.ok(choice !== undefined);
  return choice;
}

/** What a pipe holds as a whole, and what it does not. */
const sources = [
  { size: 256 * 1024, chunkSize: 4096 },
  { size: 4 * 1024 * 1024, chunkSize: 65536 },
].map(({ size, chunkSize }, index) => {
  const folder = fixture.path(`source-${index}`);
  mkdirSync(folder);
  return offlineSource(folder, {
    size,
    chunkSize,
    changedChunks: Array.from({ length: size / chunkSize }, (_, chunk) => chunk),
  });
});

interface Outcome {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

/** Runs lvmsync to its end, or to that of our patience. */
async function run(words: readonly string[]): Promise<Outcome> {
  const child = spawn(process.execPath, [CLI, ...words], {
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: PATIENCE_MS,
    killSignal: 'SIGKILL',
  });
  const ended = new Promise<Pick<Outcome, 'status' | 'signal'>>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (status, signal) => resolve({ status, signal }));
  });
  const [end, stderr] = await Promise.all([ended, text(child.stderr)]);
  return { ...end, stderr };
}

function checkFailure({ status, signal, stderr }: Outcome, allowed: readonly number[]): void {
  assert.equal(signal, null, `it hung: ${stderr}`);
  assert.ok(allowed.includes(status ?? -1), `status ${status}: ${stderr}`);
  const fatal = stderr.match(/^FATAL ERROR: .*/gm) ?? [];
  assert.equal(fatal.length, 1, stderr);
  assert.doesNotMatch(fatal[0] ?? '', /unexpected/);
  checkWords(stderr);
}

/** Nothing a terminal would obey, no stack, no line without end. */
function checkWords(stderr: string): void {
  assert.doesNotMatch(stderr, /[^\n\x20-\x7e]/, 'a control character was shown');
  assert.doesNotMatch(stderr, /^\s+at .*:\d+/m, 'a stack trace was shown');
  assert.ok(
    stderr.split('\n').every((line) => line.length < 9000),
    'a line of any length',
  );
}

/** Whole chunks of the one or the other content only. */
function checkMixed(path: string, { content, former }: (typeof sources)[number]): void {
  const found = readFileSync(path);
  assert.equal(found.length, content.length);
  for (let at = 0; at < found.length; at += 4096) {
    const chunk = found.subarray(at, at + 4096);
    const known = [content, former].some((whole) => chunk.equals(whole.subarray(at, at + 4096)));
    assert.ok(known, `at ${at} it is neither old nor new`);
  }
}

const TALK: readonly string[] = [
  '\x1b[2J\x1b]0;owned\x07\n',
  'half a line',
  'x'.repeat(100_000),
  `${'y'.repeat(70)}\n`.repeat(20_000),
  '\r\r\r\n\0\n',
  'lvmsync-ready 1\n',
  'lvmsync-result 1 ok\n',
  `lvmsync-ready 1 ${STRANGER} discard\nlvmsync-result 1 ${STRANGER} ok 1 1 00\n`,
  `lvmsync-result 1 ${STRANGER} failed 12 never\n`,
  'lvmsync-result 2 ID ok 64 262144 00\n',
  `lvmsync-ready 1 ID${' discard'.repeat(2000)}\n`,
  'lvmsync-ready 1 ID\n',
];

/** Answers about this stream that are wrong, whatever else is true. */
const LIES: readonly string[] = [
  `lvmsync-result 1 ID ok 0 0 ${STRANGER}\n`,
  `lvmsync-result 1 ID ok 64 262144 ${STRANGER}\n`,
  `lvmsync-result 1 ID ok 9999999999999999 1 ${STRANGER}\n`,
  'lvmsync-result 1 ID failed 12 it is mounted\n',
  'lvmsync-result 1 ID failed 0 all is well\n',
];

/** What each change of a real receiver's answers does to them: a pattern, and what takes its place. */
const ANSWERS: readonly NonNullable<UnrulyPlan['answers']>[] = [
  { pattern: '^(lvmsync-result.*)\n', lines: '' },
  { pattern: '^(lvmsync-ready.*)\n', lines: '' },
  { pattern: '^(lvmsync-.*)\n', lines: '' },
  { pattern: '^(lvmsync-.*)\n', lines: '$1\n$1\n' },
  { pattern: '^(lvmsync-result.*)\n', lines: '$1' },
  { pattern: '^(lvmsync-result.*).\n', lines: '$1\n' },
  { pattern: ' ok (\\d+)', lines: ' ok 1$1' },
  { pattern: '[0-9a-f]{32}', lines: STRANGER },
  { pattern: '^(lvmsync-result 1 )', lines: '$1 ' },
  { pattern: '^(lvmsync-result 1 )', lines: 'lvmsync-result 9 ' },
];

function randomPlan(source: (typeof sources)[number]): UnrulyPlan {
  const afterBytes = random.below(source.content.length + 4000);
  const kinds: readonly (() => Partial<UnrulyPlan>)[] = [
    () => ({ deed: { kind: 'drop', status: oneOf([0, 0, 1, 255]) } }),
    () => ({ deed: { kind: 'signal', signal: oneOf(['SIGSTOP', 'SIGKILL', 'SIGTERM'] as const) } }),
    () => ({ deed: { kind: 'stall' } }),
    () => ({ answerBytes: random.below(200) }),
    () => ({ answers: oneOf(ANSWERS) }),
    () => ({ before: { stdout: oneOf(TALK), stderr: oneOf(TALK) } }),
    () => ({ before: { stdout: oneOf(LIES) } }),
    () => ({ status: oneOf([1, 14, 255]) }),
    // A receiver that fails, and a program in between that hides it.
    () => ({ deed: { kind: 'signal', signal: 'SIGKILL' }, status: 0 }),
  ];
  return { afterBytes, deed: { kind: 'none' }, ...oneOf(kinds)() };
}

let planCount = 0;

/** One run to a real receiver, with an unruly program between. */
async function sendThrough(
  plan: UnrulyPlan,
  source: (typeof sources)[number],
  options: readonly string[],
): Promise<void> {
  const planFile = fixture.path(`plan-${planCount++}`);
  const destination = fixture.path(`there-${planCount}`);
  writeFileSync(planFile, JSON.stringify(plan));
  writeFileSync(destination, source.former);
  const rsh = `'${process.execPath}' '${UNRULY}' '${planFile}'`;
  const outcome = await run([...source.words, '-e', rsh, ...options, `backup:${destination}`]);
  endStopped(plan, `${planFile}.pid`);
  if (outcome.status === 0) {
    const silent = UNCONFIRMED.test(outcome.stderr);
    const mayBeSilent = !options.includes('--require-ack') && isAnswerLost(plan);
    assert.ok(!silent || mayBeSilent, `unconfirmed: ${outcome.stderr}`);
    // What looks like an old receiver is believed, and warned of.
    if (silent && hidesItsEnd(plan)) checkMixed(destination, source);
    else assert.ok(readFileSync(destination).equals(source.content), `lost: ${outcome.stderr}`);
    checkWords(outcome.stderr);
  } else {
    checkFailure(outcome, plan.before === undefined ? [14, 15, 17] : [12, 14, 15, 17]);
    checkMixed(destination, source);
  }
  for (const file of [planFile, `${planFile}.pid`, destination]) rmSync(file, { force: true });
}

/** The receiver of an old version says nothing: to look like it, all answers must be gone or spoilt. */
function isAnswerLost(plan: UnrulyPlan): boolean {
  const { answers, answerBytes, before } = plan;
  const isSpoilt =
    answers !== undefined || answerBytes !== undefined || before?.stdout !== undefined;
  return isSpoilt || hidesItsEnd(plan);
}

/**
 * It took all of a small stream, and ended with 0, although the receiver did not get it or failed. If that had
 * no time to say a word, only --require-ack can tell.
 */
function hidesItsEnd({ deed, status }: UnrulyPlan): boolean {
  return status === 0 || (deed.kind === 'drop' && deed.status === 0);
}

/** A stopped one outlives the program that stood for ssh. */
function endStopped({ deed }: UnrulyPlan, pidFile: string): void {
  if (deed.kind !== 'signal' || deed.signal !== 'SIGSTOP' || !existsSync(pidFile)) return;
  try {
    process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}

interface Case {
  /** How to repeat it. */
  readonly what: string;
  readonly check: () => Promise<void>;
}

test('a program in between that behaves is no hindrance: what fails below fails by its plan', async () => {
  for (const source of sources) {
    const destination = fixture.path('there');
    const planFile = fixture.path('plan');
    writeFileSync(planFile, JSON.stringify({ afterBytes: 0, deed: { kind: 'none' } }));
    writeFileSync(destination, source.former);
    const rsh = `'${process.execPath}' '${UNRULY}' '${planFile}'`;
    const outcome = await run([
      ...[...source.words, '-e', rsh, '--require-ack'],
      `backup:${destination}`,
    ]);
    assert.equal(outcome.status, 0, outcome.stderr);
    assert.ok(readFileSync(destination).equals(source.content));
  }
});

/** They mostly wait, for programs that start and for others that stall. */
const AT_ONCE = 3;

/** All are made before the first one runs: the seed alone decides what they are. */
async function runCases(campaign: Campaign, cases: readonly Case[]): Promise<void> {
  const queue = [...cases.entries()];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [index, { what, check }] = next;
      await campaign.run(`case ${index}: ${what.slice(0, 300)}`, check);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  campaign.finish(cases.length);
}

function makeCases(count: number, make: () => Case): Case[] {
  return Array.from({ length: count }, make);
}

test('T8: a receiver that misbehaves', async (t) => {
  const cases = makeCases(campaignSize({ commit: 50, release: 2000 }), () => {
    const source = oneOf(sources);
    const plan = randomPlan(source);
    const options = ['--timeout', '3', ...oneOf([[], ['--require-ack']])];
    const what = `${JSON.stringify(plan)} ${options.join(' ')}`;
    return { what, check: () => sendThrough(plan, source, options) };
  });
  await runCases(new Campaign(t, 'T8 receivers that misbehave', random.seed), cases);
});

/** Programs that take some of the stream or lie about all of it; nobody writes the destination. */
function randomImpostor(source: (typeof sources)[number]): string {
  const bytes = random.below(source.content.length);
  const said = oneOf([':', `printf '${'x'.repeat(random.below(99))}'`, 'echo Welcome']);
  const take = oneOf([':', 'sleep 0.3', `head -c ${bytes} > /dev/null`, 'exec <&-']);
  const lines = [...oneOf([['lvmsync-ready 1 ID'], []]), oneOf(LIES).trimEnd()];
  const lie = [0, ...lines].map((word) => `'${word}'`).join(' ');
  return oneOf([
    `${said}; ${take}; exit 0`,
    `${said}; ${take}; exit 0`,
    `${said}; ${take}; kill -KILL $$`,
    `exec '${process.execPath}' '${LIAR}' ${lie}`,
    `exec '${process.execPath}' '${LIAR}' 0 'lvmsync-ready 1 ID'`,
  ]);
}

async function sendToImpostor(body: string, source: (typeof sources)[number]): Promise<void> {
  const rsh = fixture.rsh(body);
  const words = [...source.words, '-e', rsh.command, '--timeout', '20', 'backup:/nowhere'];
  checkFailure(await run(words), [12, 17]);
  rmSync(rsh.command);
  rmSync(rsh.argvFile);
}

test('T8: a program that is no receiver, though it ends with 0', async (t) => {
  const cases = makeCases(campaignSize({ commit: 50, release: 2000 }), () => {
    const source = oneOf(sources);
    const body = randomImpostor(source);
    return { what: body, check: () => sendToImpostor(body, source) };
  });
  await runCases(new Campaign(t, 'T8 impostors', random.seed), cases);
});

/** A wire stream in pieces: what comes before the first group, the groups, the end. */
interface Pieces {
  readonly head: Buffer;
  readonly groups: readonly Buffer[];
  readonly end: Buffer;
}

const GROUP_WORDS = [0x4c56, 0x0201];

function takeApart(stream: Buffer): Pieces {
  const records = recordsOf(stream);
  const groups: Buffer[] = [];
  const first = stream.indexOf('\n') + 1;
  let position = first;
  let from = first;
  let head: Buffer | undefined;
  records.forEach(({ offset, data }, index) => {
    const [next, words] = [records[index + 1]?.offset, records[index + 2]?.offset ?? 0];
    if (data.length > 0 && head === undefined) {
      head = stream.subarray(0, position);
      from = position;
    }
    if (data.length === 0 && offset === GROUP_WORDS[0] && next === GROUP_WORDS[1]) {
      const end = position + 12 * (words + 5);
      groups.push(stream.subarray(from, end));
      from = end;
    }
    position += 12 + data.length;
  });
  assert.ok(head !== undefined);
  return { head, groups, end: stream.subarray(from) };
}

const DEVICE_SIZE = 256 * 1024;
const CHUNK = 4096;
const CHUNKS_IN_GROUP = 4;
const newContent = random.bytes(DEVICE_SIZE);
const oldContent = random.bytes(DEVICE_SIZE);

function makeStream(): Promise<Buffer> {
  const chunks = Array.from({ length: DEVICE_SIZE / CHUNK }, (_, chunk) => ({
    offset: chunk * CHUNK,
    data: newContent.subarray(chunk * CHUNK, (chunk + 1) * CHUNK),
  }));
  const groups = [];
  for (let at = 0; at < chunks.length; at += CHUNKS_IN_GROUP) {
    groups.push(chunks.slice(at, at + CHUNKS_IN_GROUP));
  }
  return framedStream(fixture.path('wire'), { kind: 'wire', deviceSize: DEVICE_SIZE, groups });
}

const [mine, other] = [await makeStream(), await makeStream()];
const own = takeApart(mine);
const foreign = takeApart(other);

/** Each makes of the stream another one that must not be taken for whole. */
const SPOILERS: readonly [what: string, spoil: () => Buffer][] = [
  ['cut', () => mine.subarray(0, random.below(mine.length))],
  [
    'garbage in it',
    () => {
      const at = random.below(mine.length);
      const garbage = random
        .bytes(1 + random.below(64))
        .map((byte, i) => byte ^ (mine[at + i] ?? 1));
      // Never what stood there.
      garbage[0] = (mine[at] ?? 0) ^ (1 + random.below(255));
      return Buffer.concat([mine.subarray(0, at), garbage, mine.subarray(at + garbage.length)]);
    },
  ],
  ['bytes left out', () => splice(1 + random.below(5000), Buffer.alloc(0))],
  ['bytes put in', () => splice(0, random.bytes(1 + random.below(5000)))],
  ['sent twice', () => Buffer.concat([mine, mine])],
  ['another stream behind it', () => Buffer.concat([mine, other])],
  ['zeros behind it', () => Buffer.concat([mine, Buffer.alloc(1 + random.below(1 << 20))])],
  ['a group replayed', () => regroup((groups, at) => groups.splice(at, 0, groups[at] ?? mine))],
  ['a group left out', () => regroup((groups, at) => groups.splice(at, 1))],
  ['two groups swapped', () => regroup((groups, at) => groups.push(...groups.splice(at, 1)), 1)],
  ['a group of another stream', () => regroup((groups, at) => groups.splice(at, 1, theirs(at)))],
  ['the end of another stream', () => Buffer.concat([own.head, ...own.groups, foreign.end])],
  ['the head of another stream', () => Buffer.concat([foreign.head, ...own.groups, own.end])],
  ['no end', () => Buffer.concat([own.head, ...own.groups])],
  ['nothing but head and end', () => Buffer.concat([own.head, own.end])],
  ['noise before it', () => Buffer.concat([Buffer.from('Welcome!\r\n'), mine])],
];

function theirs(at: number): Buffer {
  return foreign.groups[at] ?? other;
}

function splice(leftOut: number, putIn: Buffer): Buffer {
  const at = random.below(mine.length - leftOut);
  return Buffer.concat([mine.subarray(0, at), putIn, mine.subarray(at + leftOut)]);
}

/** `fromEnd`: the last groups that are not chosen. */
function regroup(change: (groups: Buffer[], at: number) => unknown, fromEnd = 0): Buffer {
  const groups = [...own.groups];
  change(groups, random.below(groups.length - fromEnd));
  return Buffer.concat([own.head, ...groups, own.end]);
}

interface Applied {
  readonly status: number;
  readonly error: unknown;
  readonly answers: readonly string[];
}

/** Applies what comes through a pipe, in pieces of any size, in this process. */
async function applyPieces(stream: Buffer, destination: string): Promise<Applied> {
  const { readFd, writeFd } = native.makePipe('theirs');
  const answers: string[] = [];
  const command = {
    kind: 'apply',
    verbosity: 'quiet',
    warnings: [],
    snapback: undefined,
    allowSmaller: false,
    force: false,
    input: `/proc/self/fd/${readFd}`,
    destination,
  } as const;
  const reporter = new Reporter({
    verbosity: 'quiet',
    write: () => undefined,
    isTTY: false,
    columns: 80,
  });
  const context = {
    reporter,
    signal: new AbortController().signal,
    commandLine: 'lvmsync --apply',
    print: () => undefined,
    answer: (line: string) => answers.push(line),
    agentSocket: undefined,
    engine: 'threads',
  };
  const applying = runApply(command, context).then(
    (status) => ({ status, error: undefined }),
    (error: unknown) => ({ status: -1, error }),
  );
  // Both ends are ours, and the pipe holds 1 MiB: what does not fit is written when there is room.
  const writing = writePieces(writeFd, stream, applying);
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('it hung')), PATIENCE_MS);
  });
  try {
    const result = await Promise.race([applying, patience]);
    await writing;
    return { ...result, answers };
  } finally {
    clearTimeout(timer);
    closeSync(readFd);
  }
}

const ROOM = 1 << 20;

async function writePieces(fd: number, stream: Buffer, over: Promise<unknown>): Promise<void> {
  let ended = false;
  void over.then(() => {
    ended = true;
  });
  try {
    for (let at = 0; at < stream.length && !ended; ) {
      const size = 1 + random.below(oneOf([16, 4096, 300_000]));
      if (native.unreadBytes(fd) + size < ROOM - 4096 * 32) {
        at += writeSync(fd, stream, at, Math.min(size, stream.length - at));
      }
      if (random.below(4) === 0) await new Promise((tick) => setImmediate(tick));
    }
  } finally {
    closeSync(fd);
  }
}

test('T8: a sender that misbehaves', async (t) => {
  const cases = campaignSize({ commit: 200, release: 8000 });
  const campaign = new Campaign(t, 'T8 senders that misbehave', random.seed);
  const destination = fixture.path('here');
  const id = streamIdOf(mine);
  await campaign.run('the stream as it is', async () => {
    writeFileSync(destination, oldContent);
    const { status, answers } = await applyPieces(mine, destination);
    assert.equal(status, 0);
    assert.ok(readFileSync(destination).equals(newContent));
    assert.match(answers.join(''), new RegExp(`^lvmsync-result 1 ${id} ok `, 'm'));
  });
  for (let index = 1; index < cases; index++) {
    const [what, spoil] = SPOILERS[index % SPOILERS.length] ?? ['', () => mine];
    await campaign.run(`case ${index}: ${what}`, async () => {
      writeFileSync(destination, oldContent);
      const { error, answers } = await applyPieces(spoil(), destination);
      assert.ok(error instanceof LvmsyncError, String(error));
      assert.ok([14, 15].includes(error.exitStatus), `${error.exitStatus} ${error.message}`);
      assert.doesNotMatch(answers.join(''), / ok /);
      checkGroups(readFileSync(destination));
    });
  }
  campaign.finish(cases);
});

/** Every group is there as a whole, or not at all. */
function checkGroups(found: Buffer): void {
  const size = CHUNK * CHUNKS_IN_GROUP;
  for (let at = 0; at < DEVICE_SIZE; at += size) {
    const group = found.subarray(at, at + size);
    const known = [newContent, oldContent].some((all) => group.equals(all.subarray(at, at + size)));
    assert.ok(known, `the group at ${at} is neither old nor new`);
  }
}
