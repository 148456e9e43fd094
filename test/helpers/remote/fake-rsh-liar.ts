/**
 * `node LIAR STATUS LINE...`: a receiver that reads the whole stream, writes nothing, prints the lines
 * on stdout, and ends with the status. In a line, ID stands for the id of the stream, OK for the right
 * records, bytes and digest.
 */

import { readFileSync } from 'node:fs';
import { recordsOf } from '../streams/stream-parts.js';

const FRAME_HEAD = 3;
const CHECKSUM = 2;
const END_WORDS = 25;

const words = recordsOf(readFileSync(0)).flatMap(({ offset, data }) =>
  data.length === 0 ? [offset] : [],
);

/** `count` words of two bytes. */
function payload(first: number, count: number): Buffer {
  const bytes = Buffer.alloc(2 * count);
  words.slice(first, first + count).forEach((word, index) => {
    bytes.writeUInt16BE(word, 2 * index);
  });
  return bytes;
}

const id = payload(FRAME_HEAD + 2, 8).toString('hex');
const end = payload(words.length - CHECKSUM - END_WORDS, END_WORDS);
const totals = [end.readBigUInt64BE(16), end.readBigUInt64BE(24), end.toString('hex', 32, 48)];

const [status, ...lines] = process.argv.slice(2);
for (const line of lines) {
  process.stdout.write(`${line.replace('ID', id).replace('OK', totals.join(' '))}\n`);
}
process.exitCode = Number(status);
