/**
 * `node FAKE-HASHER DEED FILE`: stands for `lvmsync --hash-blocks FILE`, answers a verify as that does,
 * and misbehaves as DEED says.
 */

import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { FileDevice } from '../../../src/device/block-device.js';
import { DeviceHashes } from '../../../src/pipeline/block-hashes.js';
import { formatHashAnswer, parseHashRequest } from '../../../src/stream/hash-lines.js';

const [deed = '', path = ''] = process.argv.slice(2);
let session = '';

function say(text: string): void {
  writeSync(1, text);
}

function end(status: number): never {
  process.exit(status);
}

/** Nothing more, and no end. */
function hang(): Promise<never> {
  setInterval(() => undefined, 1000);
  return new Promise(() => undefined);
}

/** What is said in the place of the answer to request 1. */
function misdeed(number: number, hashes: Buffer): string {
  const right = { kind: 'hashes', number, hashes } as const;
  switch (deed) {
    case 'lies':
      hashes[3] = (hashes[3] ?? 0) ^ 1;
      return formatHashAnswer(session, right);
    case 'tells too few':
      return formatHashAnswer(session, { ...right, hashes: hashes.subarray(16) });
    case 'tells too many':
      return formatHashAnswer(session, { ...right, hashes: Buffer.concat([hashes, hashes]) });
    case 'tells none':
      return formatHashAnswer(session, { ...right, hashes: hashes.subarray(0, 0) });
    case 'counts wrongly':
      return formatHashAnswer(session, { ...right, number: number + 1 });
    case 'cuts a hash':
      return `${formatHashAnswer(session, right).slice(0, -2)}\n`;
    case 'says something else':
      return `lvmsync-hashes 1 ${session} maybe 1\n`;
    case 'is ready twice':
      return formatHashAnswer(session, { kind: 'ready', size: 1 });
    case 'is done too early':
      return formatHashAnswer(session, { kind: 'done', requests: number, writes: 'none' });
    default:
      return truth(number, hashes);
  }
}

/** Does not end by itself. */
function flood(line: string): never {
  for (;;) say(line.repeat(100));
}

async function main(): Promise<void> {
  if (deed === 'floods before it is asked') flood(`${'noise '.repeat(100)}\n`);
  const device = await FileDevice.open(path, { role: 'destination' });
  const hashes = new DeviceHashes(device);
  for await (const line of createInterface({ input: process.stdin })) {
    const request = parseHashRequest(line);
    if (request === undefined) throw new Error(`no request: ${line}`);
    if (request.kind === 'hello') {
      session = request.session;
      if (deed === 'never answers') await hang();
      if (deed === 'is garbled at once') say(`lvmsync-hashes 1 ${session}\n`);
      say(formatHashAnswer(session, { kind: 'ready', size: device.size }));
    } else if (request.kind === 'end') {
      const requests = request.requests + (deed === 'has done more than was asked' ? 1 : 0);
      if (deed === 'ends without its end') end(0);
      say(formatHashAnswer(session, { kind: 'done', requests, writes: 'none' }));
      end(deed === 'fails at the end' ? 3 : 0);
    } else {
      const right = Buffer.from(await hashes.hash(request.operations));
      const { number } = request;
      if (number === 1 && deed === 'ends in the middle') end(0);
      if (number === 1 && deed === 'hangs in the middle') await hang();
      if (number === 1 && deed === 'floods with answers') {
        flood(formatHashAnswer(session, { kind: 'hashes', number, hashes: right }));
      }
      say(number === 1 ? misdeed(number, right) : truth(number, right));
    }
  }
}

function truth(number: number, hashes: Buffer): string {
  return formatHashAnswer(session, { kind: 'hashes', number, hashes });
}

await main();
