// A cycle run that the host of the copy fetches, from a source that stands for one: no LVM is needed there.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { EXIT } from '../../src/base/errors.js';
import type { HelloAttributes, StreamPosition } from '../../src/stream/control-frame.js';
import { ChainLaboratory, type ChainSpec, pointAt } from '../helpers/chain/chain-laboratory.js';
import {
  assertFails,
  assertSucceeds,
  CLI,
  type CliResult,
  lvmsync,
} from '../helpers/program/cli.js';
import { Random } from '../helpers/random.js';
import { fakeRsh } from '../helpers/remote/fake-rsh.js';
import { HostilePuller } from '../helpers/remote/hostile-puller.js';
import { scratchFolder } from '../helpers/scratch.js';
import { framedStream } from '../helpers/streams/stream-parts.js';

const folder = scratchFolder();
const random = new Random();
mkdirSync(join(folder, 'bin'));
const SPEC: ChainSpec = { size: 1024 * 1024, chunkSize: 4096, turns: 3, changedChunks: 40 };
let count = 0;

/** Reads lines, and does what the words of a test say: SERVE, STREAM and the like stand for the usual steps. */
const SOURCE = `
const fs = require('node:fs');
const [, , streamFile, seenFile] = process.argv;
let text = '';
const piece = Buffer.alloc(4096);
const line = () => {
  for (;;) {
    const at = text.indexOf('\\n');
    if (at >= 0) { const one = text.slice(0, at); text = text.slice(at + 1); fs.appendFileSync(seenFile, one + '\\n'); return one; }
    const count = fs.readSync(0, piece);
    if (count === 0) return undefined;
    text += piece.toString('latin1', 0, count);
  }
};
const write = (bytes) => { for (let rest = Buffer.from(bytes); rest.length > 0; ) { try { rest = rest.subarray(fs.writeSync(1, rest)); } catch (error) { if (error.code !== 'EAGAIN') throw error; } } };
const session = line().split(' ')[2];
const say = (words) => write('\\nlvmsync-pull 1 ' + session + ' ' + words + '\\n');
const stream = (share = 1) => { const all = fs.readFileSync(streamFile); write(all.subarray(0, all.length * share)); };
const result = () => { for (;;) { const one = line(); if (one === undefined) return 'none'; if (one.includes('lvmsync-result')) return one.split(' ')[3]; } };
const serve = (volume = 'vg0/mail') => { say('serves ' + volume); return line(); };
`;

async function laboratory(point: number): Promise<ChainLaboratory> {
  const lab = new ChainLaboratory(join(folder, `${count++}`), SPEC, random);
  await lab.advanceTo(point);
  return lab;
}

interface Fetched extends CliResult {
  /** Lines that the source read. */
  readonly seen: string;
}

/** Towards a point, from a source that does that. */
async function pull(
  lab: ChainLaboratory,
  to: number,
  does: string,
  ...options: string[]
): Promise<Fetched> {
  const name = join(folder, `source-${count++}`);
  const { attributes } = lab.facts(to);
  const stream = await lab.stream(to, {
    kind: 'wire',
    attributes: { ...attributes, inputEnd: 'open' },
  });
  writeFileSync(`${name}.cjs`, `${SOURCE}${does}`);
  writeFileSync(`${name}.seen`, '');
  // What a login prints, and a shell that stays and holds all pipes open.
  const body = `echo Welcome; '${process.execPath}' '${name}.cjs' '${stream}' '${name}.seen'; exit $?`;
  const { command } = fakeRsh(folder, body);
  const words = ['cycle', 'root@prod:vg0/mail', lab.destination, '--snapback', lab.chain];
  const ended = lvmsync([...words, '-e', command, '--timeout', '20', ...options]);
  return { ...ended, seen: readFileSync(`${name}.seen`, 'utf8') };
}

interface Unasked {
  readonly more?: HelloAttributes;
  readonly place?: StreamPosition;
}

/** From a source that sends more than it was asked for. */
async function pullUnasked(
  lab: ChainLaboratory,
  to: number,
  { more, place }: Unasked,
  ...options: string[]
): Promise<Fetched> {
  const name = join(folder, `unasked-${count++}`);
  const { attributes, groups } = lab.facts(to);
  await framedStream(name, {
    ...{ kind: 'wire', deviceSize: SPEC.size, groups },
    attributes: { ...attributes, inputEnd: 'open', ...more },
    ...(place && { place }),
  });
  const copied = `fs.copyFileSync(${JSON.stringify(name)}, streamFile);`;
  return pull(lab, to, `${copied}${HONEST}`, ...options);
}

const HONEST = `serve(); stream(); process.exit(result() === 'ok' ? 0 : 17);`;

function record({ chain }: ChainLaboratory) {
  return JSON.parse(readFileSync(join(chain, 'chain.json'), 'utf8'));
}

describe('a pull', () => {
  test('begins a history, goes on, and goes back', async () => {
    const lab = new ChainLaboratory(join(folder, `${count++}`), SPEC, random);
    lab.reset();
    assertFails(await pull(lab, 0, HONEST), EXIT.destinationUnfit, /there is no history in/);
    const first = await pull(lab, 0, HONEST, '--init');
    assertSucceeds(first);
    assert.match(first.seen, /^lvmsync-pull 1 [0-9a-f]{32} [0-9a-f]{12} init - - - -$/m);
    const next = await pull(lab, 1, HONEST, '--keep', '9');
    assertSucceeds(next);
    assert.match(next.stderr, /now matches root@prod:vg0\/mail as of/);
    assert.match(next.seen, / next - point-0@2026-11-23T00:00:00Z - -$/m);
    lab.assertHolds(1);
    assertFails(await pull(lab, 1, HONEST, '--init'), EXIT.destinationUnfit, /already has a hist/);
    assertSucceeds(lvmsync(['rollback', '--steps', '1', lab.destination, lab.chain]));
    lab.assertHolds(0);
  });

  test('names the point of which the copy holds part, and completes it', async () => {
    const lab = await laboratory(1);
    const cut = await pull(lab, 2, `serve(); stream(0.7); process.exit(255);`);
    assertFails(cut, EXIT.transport, /^FATAL ERROR: root@prod: .*status 255/m);
    assert.match(cut.stderr, /may be incomplete.*\n.*Run the same command again/);
    assert.equal(record(lab).doing.what, 'turn');
    const again = await pull(lab, 2, HONEST);
    assertSucceeds(again);
    assert.match(again.seen, /next - point-1@\S+ point-2@2026-11-23T02:00:00Z -$/m);
    lab.assertHolds(2);
  });

  test('passes its options on, and takes only answers from its receiver', async () => {
    const lab = await laboratory(1);
    const { seen, ...ended } = await pull(lab, 2, HONEST, '--size', '20%', '-v');
    assertSucceeds(ended);
    assert.match(ended.stderr, /running: .* lvmsync cycle --serve '--size=20%'/);
    const lines = seen
      .trim()
      .split('\n')
      .slice(2)
      .filter((one) => one !== '');
    assert.ok(
      lines.every((one) => /^lvmsync-(busy|ready|result) 1 /.test(one)),
      seen,
    );
  });
});

describe('a source that fails', () => {
  const cases: readonly (readonly [string, string, keyof typeof EXIT, RegExp])[] = [
    [
      'serves another volume',
      `serve('vg0/other'); process.exit(17);`,
      'sourceUnfit',
      /root@prod: it serves vg0\/other, not vg0\/mail/,
    ],
    [
      'refuses',
      `write('\\nlvmsync-result 1 ' + session + ' failed 10 vg0/mail: no base\\n'); line(); process.exit(10);`,
      'sourceUnfit',
      /root@prod: vg0\/mail: no base/,
    ],
    [
      'has no room, once it was asked for the stream',
      `serve(); process.stderr.write('FATAL ERROR: vg0: no room\\n'); process.exit(10);`,
      'sourceUnfit',
      /root@prod: vg0: no room/,
    ],
    ['is not there', `process.exit(127);`, 'transport', /was not found \(status 127\)/],
    [
      'sends something else',
      `serve(); write('hello, here is no stream\\n'); result(); process.exit(17);`,
      'streamCorrupt',
      /not a change stream/,
    ],
    [
      'sends a stream that is damaged',
      `serve(); const all = fs.readFileSync(streamFile); all[all.length >> 1] ^= 1; write(all); process.exit(result() === 'ok' ? 0 : 15);`,
      'streamCorrupt',
      /./,
    ],
  ];
  for (const [what, does, status, message] of cases) {
    test(`changes nothing that is not there: it ${what}`, async () => {
      const lab = await laboratory(1);
      assertFails(await pull(lab, 2, does), EXIT[status], message);
      if (record(lab).doing === null) lab.assertHolds(1);
      assertSucceeds(await pull(lab, 2, HONEST));
      lab.assertHolds(2);
    });
  }

  const unasked: readonly (readonly [string, Unasked, readonly string[], RegExp])[] = [
    ['a comparison', { more: { comparison: 'any' } }, [], /a comparison that was not asked for/],
    [
      'a wider comparison',
      { more: { comparison: 'any' } },
      ['--compare=lost'],
      /a comparison that was not asked for/,
    ],
    [
      'the point that the copy has',
      { more: { comparison: 'any', toPoint: 'point-1', toTime: pointAt(1).time } },
      ['--compare'],
      /the restore point that the copy has/,
    ],
    [
      'another time of the point that the copy has',
      { more: { fromTime: pointAt(0).time } },
      [],
      /gives its restore points other times/,
    ],
    [
      'a newer point with an older time',
      { more: { toTime: pointAt(0).time } },
      [],
      /gives its restore points other times/,
    ],
    [
      'one of two streams',
      { place: { setId: new Uint8Array(16), streamIndex: 1, streamCount: 2 } },
      [],
      /one of several streams/,
    ],
  ];
  for (const [what, sends, options, message] of unasked) {
    test(`reaches nothing by sending ${what}`, async () => {
      const lab = await laboratory(1);
      const refused = await pullUnasked(lab, 2, sends, ...options);
      assertFails(refused, EXIT.destinationUnfit, message);
      assert.equal(record(lab).doing, null);
      lab.assertHolds(1);
      assertSucceeds(await pull(lab, 2, HONEST));
      lab.assertHolds(2);
      assertSucceeds(lvmsync(['rollback', '--steps', '2', lab.destination, lab.chain]));
      lab.assertHolds(0);
    });
  }

  test('does not hold the run up for ever', async () => {
    const lab = await laboratory(1);
    const silent = await pull(lab, 2, 'line(); line();', '--timeout', '1');
    assertFails(silent, EXIT.transport, /root@prod: no answer for 1 s: given up/);
    const stuck = await pull(lab, 2, 'serve(); line(); line();', '--timeout', '2');
    assertFails(stuck, EXIT.transport, /root@prod: no answer for 2 s: given up/);
    lab.assertHolds(1);
  });

  test('is reported also where the copy is complete', async () => {
    const lab = await laboratory(1);
    const ended = await pull(lab, 2, `serve(); stream(); result(); process.exit(17);`);
    assertFails(ended, EXIT.transport, /status 17 after the copy was complete/);
    assert.match(ended.stderr, /is complete, and matches the volume as of/);
    lab.assertHolds(2);
  });
});

test('a receiver that refuses has the last word', async () => {
  const lab = await laboratory(1);
  const ended = await pull(lab, 3, HONEST);
  assertFails(ended, EXIT.destinationUnfit, /this machine: .*leads from .*point-2/);
  assert.match(ended.stderr, /^Nothing was written\.$/m);
  assert.match(ended.seen, /lvmsync-result 1 [0-9a-f]{32} failed 12 /);
  lab.assertHolds(1);
});

test('a signal ends both processes', async () => {
  const lab = await laboratory(1);
  const name = join(folder, `source-${count++}`);
  writeFileSync(
    `${name}.cjs`,
    `${SOURCE}serve(); fs.writeFileSync('${name}.up', ''); line(); line();`,
  );
  const { command } = fakeRsh(folder, `exec '${process.execPath}' '${name}.cjs' x '${name}.seen'`);
  const words = ['cycle', 'root@prod:vg0/mail', lab.destination, '--snapback', lab.chain];
  const child = spawn(process.execPath, [CLI, ...words, '-e', command], { stdio: 'ignore' });
  for (;;) {
    try {
      readFileSync(`${name}.up`);
      break;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  child.kill('SIGTERM');
  const [status] = await once(child, 'exit');
  assert.equal(status, 128 + 15);
  assertSucceeds(await pull(lab, 2, HONEST));
});

describe('the side of the volume', () => {
  for (const [what, text] of [
    ['garbage', 'GET / HTTP/1.1\n\n'],
    ['an endless line', 'x'.repeat(100_000)],
    ['another version', `lvmsync-pull 2 ${'0'.repeat(32)} abcdefabcdef init - -\n`],
    ['bytes', '\x00\xff\x1b[2J\n'],
  ] as const) {
    test(`ends at ${what}, before it looks at any volume`, async () => {
      const puller = new HostilePuller(['no-group/no-volume', '--size', '20%']);
      puller.say(text);
      const { status, stderr, output } = await puller.end({ closes: false });
      assert.equal(status, EXIT.streamCorrupt, stderr);
      assert.match(stderr, /puller: it sent a line that does not belong to the conversation/);
      assert.equal(output.length, 0);
    });
  }

  test('ends with its puller', async () => {
    const { status, stderr } = await new HostilePuller(['no-group/no-volume']).end();
    assert.equal(status, EXIT.transport);
    assert.match(stderr, /puller: it ended before it asked for the stream/);
  });

  test('is not typed', () => {
    assertFails(
      lvmsync(['cycle', '--serve', 'vg0/mail'], { stdoutFile: join(folder, 'out') }),
      EXIT.usage,
      /--serve is started by ssh/,
    );
  });
});
