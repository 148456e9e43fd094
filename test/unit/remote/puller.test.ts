/** A sender whose puller does not keep to the conversation: nothing that it says may pass for a confirmation. */

import assert from 'node:assert/strict';
import { closeSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { EXIT, LvmsyncError } from '../../../src/base/errors.js';
import { parseOptions } from '../../../src/cli/option-grammar.js';
import { toCommand } from '../../../src/cli/parse.js';
import { FileDevice } from '../../../src/device/block-device.js';
import { NO_EXTENTS } from '../../../src/device/extent.js';
import { WriteWatch } from '../../../src/device/write-watch.js';
import { native } from '../../../src/host/native.js';
import { Puller } from '../../../src/remote/puller.js';
import { sendTo } from '../../../src/remote/send.js';
import { contextOf } from '../../helpers/program/in-process.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';

const folder = scratchFolder();
const random = new Random();
const SIZE = 3 * 1024 * 1024;
let count = 0;

/** Both pipes of a conversation: what is written to `toUs` comes from the puller. */
class Line {
  readonly #up = native.makePipe('theirs');
  readonly #down = native.makePipe('ours');
  readonly puller = new Puller(this.#up.readFd, this.#down.writeFd, new AbortController().signal);
  readonly #input = new native.InputStream(this.#down.readFd);
  #isClosed = false;

  say(text: string): void {
    writeSync(this.#up.writeFd, text);
  }

  close(): void {
    if (!this.#isClosed) closeSync(this.#up.writeFd);
    this.#isClosed = true;
  }

  /** The stream up to the first line that asks for hashes. */
  async isAsked(): Promise<void> {
    const buffer = new ArrayBuffer(4096);
    let text = '';
    while (!text.includes('lvmsync-hash 1')) {
      const count = await this.#input.read(buffer);
      assert.ok(count > 0, 'nobody asked');
      text += Buffer.from(buffer, 0, count).toString('latin1');
    }
  }

  /** All of the stream. */
  async takes(): Promise<void> {
    const buffer = new ArrayBuffer(1024 * 1024);
    while ((await this.#input.read(buffer)) > 0);
  }
}

interface Sent {
  readonly status: number;
  readonly message: string;
  readonly printed: string;
}

/** Sends a file; `does` plays the puller, which knows the id of the stream; with `compare` it has to send hashes first. */
async function serve(
  does: (line: Line, id: string) => void | Promise<void>,
  { compares = false, compare }: { compares?: boolean; compare?: 'any' } = {},
): Promise<Sent> {
  const path = join(folder, `source-${count++}`);
  writeFileSync(path, random.bytes(SIZE));
  const device = await FileDevice.open(path, { role: 'source' });
  const source = {
    ...{ device, watch: await WriteWatch.begin(device), attributes: {}, members: [], stores: [] },
    ...{ extents: NO_EXTENTS.withTail(0, device.size), zeros: NO_EXTENTS },
    ...{ copySize: 0, headKinds: [], chunkSize: 4096, findLateFault: async () => undefined },
    close: () => device.close(),
  };
  const { cycle } = commandOf('vg0/mail', '--timeout', '1');
  const line = new Line();
  const playing: (void | Promise<void>)[] = [];
  const remote: typeof cycle.remote = {
    ...cycle.remote,
    joined: (onLine, id) => {
      const peer = line.puller.join(onLine, id, { compares });
      playing.push(does(line, id));
      return peer;
    },
  };
  let printed = '';
  const context = contextOf([], (text) => {
    printed += text;
  });
  try {
    await sendTo(source, { ...cycle, remote, compare }, context);
    return { status: 0, message: '', printed };
  } catch (error) {
    if (!(error instanceof LvmsyncError)) throw error;
    return { status: error.exitStatus, message: error.message, printed };
  } finally {
    await Promise.all(playing);
    line.close();
    await device.close();
  }
}

function commandOf(...words: string[]) {
  const command = toCommand(parseOptions(['cycle', '--serve', ...words]));
  assert.ok(command.kind === 'serve');
  return command;
}

const DIGEST = '0'.repeat(32);
const OTHER = 'f'.repeat(32);
const READY = (id: string): string => `\nlvmsync-ready 1 ${id} discard lz4\n`;

describe('the sender of a pull fails where the puller', () => {
  const cases: readonly (readonly [string, (id: string) => string, keyof typeof EXIT, RegExp])[] = [
    [
      'confirms what it did not take',
      (id) => `lvmsync-result 1 ${id} ok 0 0 ${DIGEST}\n`,
      'transport',
      /ended before everything was sent/,
    ],
    [
      'says something else',
      (id) => `${READY(id)}rm -rf /\n`,
      'streamCorrupt',
      /a line that does not belong/,
    ],
    [
      'speaks for another stream',
      (id) => `${READY(id)}lvmsync-result 1 ${OTHER} ok 1 1 ${DIGEST}\n`,
      'streamCorrupt',
      /a line that does not belong/,
    ],
    ['never ends a line', () => 'x'.repeat(50_000), 'streamCorrupt', /a line that does not belong/],
    [
      'gives a result that is none',
      (id) => `lvmsync-result 1 ${id} fine\n`,
      'transport',
      /cannot be read/,
    ],
    [
      'says that it failed',
      (id) => `${READY(id)}lvmsync-result 1 ${id} failed 13 no room\n`,
      'destinationWrite',
      /no room/,
    ],
    [
      'names a status of success',
      (id) => `lvmsync-result 1 ${id} failed 0 fine\n`,
      'transport',
      /fine/,
    ],
  ];
  for (const [what, said, status, message] of cases) {
    test(what, async () => {
      const sent = await serve((line, id) => line.say(said(id)));
      assert.equal(sent.status, EXIT[status], sent.message);
      assert.match(sent.message, message);
      assert.ok(!sent.printed.includes('rm -rf'), 'its words are not printed');
    });
  }

  const hashes = (id: string, words: string): string => `lvmsync-hashes 1 ${id} ${words}\n`;

  test('sends hashes where nothing is compared', async () => {
    const said = (id: string): string => `${READY(id)}${hashes(id, 'ready 4096')}`;
    const sent = await serve((line, id) => line.say(said(id)));
    assert.equal(sent.status, EXIT.streamCorrupt, sent.message);
    assert.match(sent.message, /a line that does not belong/);
  });

  test('sends hashes that nobody asked for', async () => {
    const said = (id: string): string => hashes(id, 'ready 4096').repeat(500);
    const sent = await serve((line, id) => line.say(`${said(id)}${READY(id)}`), { compares: true });
    assert.equal(sent.status, EXIT.transport, sent.message);
    assert.match(sent.message, /nothing moved for 1 s/);
    assert.equal(sent.printed.includes('lvmsync-hashes'), false, 'they are not printed');
  });

  for (const [what, words] of [
    ['no hashes', 'ready'],
    ['too many', `hashes 0 ${DIGEST} ${DIGEST}`],
    ['those of another request', `hashes 7 ${DIGEST}`],
    ['the end at once', 'done 0 none'],
  ] as const) {
    test(`is asked for hashes, and sends ${what}`, async () => {
      const ready = (id: string): string => `\nlvmsync-ready 1 ${id} discard compare\n`;
      const sent = await serve(
        async (line, id) => {
          line.say(ready(id));
          await line.isAsked();
          if (words !== 'ready') line.say(hashes(id, `ready ${SIZE}`));
          line.say(hashes(id, words));
        },
        { compares: true, compare: 'any' },
      );
      assert.equal(sent.status, EXIT.transport, sent.message);
      assert.match(sent.message, /does not match any request/);
    });
  }

  test('confirms with another hash', async () => {
    const sent = await serve(async (line, id) => {
      line.say(READY(id));
      await line.takes();
      line.say(`lvmsync-result 1 ${id} ok 3 ${SIZE} ${DIGEST}\n`);
    });
    assert.equal(sent.status, EXIT.transport);
    assert.match(sent.message, /reports other data than was sent/);
  });

  test('goes away', async () => {
    const sent = await serve((line, id) => {
      line.say(READY(id));
      line.close();
    });
    assert.equal(sent.status, EXIT.transport);
    assert.match(sent.message, /ended before it confirmed/);
  });

  test('goes silent', async () => {
    const sent = await serve((line, id) => line.say(READY(id)));
    assert.equal(sent.status, EXIT.transport);
    assert.match(sent.message, /nothing moved for 1 s/);
  });

  test('takes all, and goes silent', async () => {
    const sent = await serve((line, id) => {
      line.say(READY(id));
      return line.takes();
    });
    assert.equal(sent.status, EXIT.transport);
    assert.match(sent.message, /nothing moved for 1 s/);
  });
});

describe('the lines before the stream', () => {
  test('come one at a time, in whatever pieces', async () => {
    const line = new Line();
    line.say('one\n\ntwo\nth');
    assert.equal(await line.puller.line(5), 'one');
    assert.equal(await line.puller.line(5), 'two');
    line.say('ree\r\n');
    assert.equal(await line.puller.line(5), 'three');
  });

  test('are not waited for without an end', async () => {
    const line = new Line();
    line.say('half a line');
    await assert.rejects(line.puller.line(0.2), /puller: no line for 0.2 s: given up/);
    const gone = new Line();
    gone.close();
    await assert.rejects(gone.puller.line(5), /ended before it asked for the stream/);
  });
});
