/**
 * `node compared-turn.js SOURCE DESTINATION DIR RSH`: what a cycle run by comparison does between its snapshot and its
 * confirmation, without LVM. Beside it, what `verify --full` takes on the same ends.
 */

import { spawnSync } from 'node:child_process';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { quoteWord } from '../src/base/shell-words.js';
import { parseOptions } from '../src/cli/option-grammar.js';
import { toCommand } from '../src/cli/parse.js';
import { FileDevice } from '../src/device/block-device.js';
import { NO_EXTENTS } from '../src/device/extent.js';
import { WriteWatch } from '../src/device/write-watch.js';
import { sendTo } from '../src/remote/send.js';
import { Reporter } from '../src/run/reporter.js';
import { ours } from './local-jobs.js';
import type { Media } from './media.js';
import type { Job } from './rounds.js';

/** Of devices that are equal. The other "host" is this one, without a login and without encryption. */
export function compareJob(media: Media): Job {
  const { source, destination, size } = media;
  const rsh = media.file('rsh');
  const chain = media.file('compared.chain');
  const program = ours().map(quoteWord).join(' ');
  writeFileSync(rsh, `#!/bin/sh\nshift 2\nexec ${program} "$@"\n`);
  chmodSync(rsh, 0o755);
  const script = fileURLToPath(import.meta.url);
  return {
    name: 'comparison of a cycle run',
    bytes: size,
    contestants: [
      {
        name: 'verify --full',
        role: 'limit',
        words: ours('verify', '--full', '-e', rsh, source, `host:${destination}`),
      },
      {
        name: 'lvmsync',
        role: 'ours',
        words: [process.execPath, script, source, destination, chain, rsh],
      },
    ],
    prepare: () => {
      rmSync(chain, { recursive: true, force: true });
      makeEqual(media);
    },
  };
}

let equal: Media | undefined;

function makeEqual(media: Media): void {
  if (equal === media) return;
  const { source, destination } = media;
  const words = [`if=${source}`, `of=${destination}`, 'bs=1M', 'conv=notrunc,fsync'];
  const { status, stderr } = spawnSync('dd', words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  equal = media;
}

async function main(words: readonly string[]): Promise<void> {
  const [path = '', destination = '', chain = '', rsh = ''] = words;
  const options = ['--init', '--force', '--compare', '-e', rsh];
  const argv = ['cycle', 'vg/lv', `host:${destination}`, '--snapback', chain, ...options];
  const command = toCommand(parseOptions(argv));
  if (command.kind !== 'cycle') throw new Error('not a cycle');
  const device = await FileDevice.open(path, { role: 'source' });
  const watch = await WriteWatch.begin(device);
  const source = {
    ...{ device, watch, members: [], stores: [], copySize: 0, headKinds: [], chunkSize: 65_536 },
    attributes: { toPoint: 'point', toTime: new Date().toISOString().replace(/\.\d+/, '') },
    ...{ extents: NO_EXTENTS.withTail(0, device.size), zeros: NO_EXTENTS },
    findLateFault: async () => undefined,
    close: () => device.close(),
  };
  const write = (text: string): unknown => process.stderr.write(text);
  const context = {
    reporter: new Reporter({ verbosity: 'quiet', write, isTTY: false }),
    signal: new AbortController().signal,
    commandLine: 'compared-turn',
    ...{ print: () => undefined, answer: () => undefined, agentSocket: undefined, engine: 'auto' },
  };
  await sendTo(source, command, context);
  await device.close();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
