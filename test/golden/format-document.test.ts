/** The examples of docs/format.md are what the program writes, and it reads them. */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assertSucceeds, lvmsync } from '../helpers/program/cli.js';
import { snapbackExample, storedExample } from '../helpers/streams/format-examples.js';
import { scratchFolder } from '../helpers/scratch.js';

const folder = scratchFolder();
const document = readFileSync(
  fileURLToPath(new URL('../../../docs/format.md', import.meta.url)),
  'utf8',
);

/** The bytes that the block of that name stands for. */
function example(name: string): Buffer {
  const [, block = ''] = new RegExp(`^\`\`\`${name}\\n([^\`]*)^\`\`\`$`, 'm').exec(document) ?? [];
  const lines = block.split('\n').filter((line) => line !== '');
  assert.ok(lines.length > 10, `the document has an example called ${name}`);
  return Buffer.concat(lines.map(bytesOf));
}

function bytesOf(line: string): Buffer {
  const [, kind = '', digits = ''] = /^(line|words|record) +([0-9a-f ]+)(#.*)?$/.exec(line) ?? [];
  assert.notEqual(kind, '', line);
  if (kind !== 'words') return Buffer.from(digits.replaceAll(' ', ''), 'hex');
  const words = digits.trim().split(' ');
  return Buffer.from(words.map((word) => `000000000000${word}00000000`).join(''), 'hex');
}

for (const [name, make] of [
  ['stored', storedExample],
  ['snapback', snapbackExample],
] as const) {
  test(`the example "${name}" of the document is what the program writes`, async () => {
    const written = await make(join(folder, name));
    assert.equal(example(name).toString('hex'), written.toString('hex'));
  });
}

test('the examples can be applied', () => {
  const destination = join(folder, 'destination');
  const content = Buffer.alloc(2 ** 20, 'x');
  writeFileSync(destination, content);
  for (const name of ['stored', 'snapback']) {
    const stream = join(folder, `${name}-from-document`);
    writeFileSync(stream, example(name));
    // The snapback of the document belongs to another device.
    assertSucceeds(lvmsync(['--force', '--apply', stream, destination]));
  }
  content.write('sixteen bytes :)', 4096);
  content.write('older', 0);
  content.write('old', 512);
  content.write('oldest', 1024);
  assert.ok(readFileSync(destination).equals(content));
});
