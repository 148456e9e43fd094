import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { CopyEntry } from '../../../../src/chain/registry-entry.js';
import { knownPlaces } from '../../../../src/commands/status/places.js';
import { chainTag } from '../../../../src/cycle/names.js';
import { scratchFolder } from '../../../helpers/scratch.js';

const folder = scratchFolder();

function placeIn(unit: string): ReturnType<typeof knownPlaces> {
  const units = join(folder, `${Math.random()}`);
  mkdirSync(units);
  writeFileSync(join(units, 'mail.conf'), unit);
  return knownPlaces([], units);
}

describe('the place that a cycle leads to', () => {
  const words = 'vg0/mail root@backup:/dev/vg1/mail --snapback /backup/mail.chain --size 20%';
  const tag = chainTag({ host: 'backup', path: '/dev/vg1/mail' }, '/backup/mail.chain');
  for (const unit of [
    `ARGUMENTS="${words}"\n`,
    `# A comment\nOTHER=1\nARGUMENTS='${words}'`,
    `ARGUMENTS=x\nARGUMENTS="${words.replace(' --', ' \\\n--')}"\n`,
  ]) {
    test(`is known by the words of its unit: ${JSON.stringify(unit)}`, () => {
      const place = { destination: 'root@backup:/dev/vg1/mail', directory: '/backup/mail.chain' };
      const { words: found, file, ...others } = placeIn(unit).get(tag) ?? assert.fail('unknown');
      assert.deepEqual(others, place);
      assert.match(file ?? '', /\/mail\.conf$/);
      assert.equal(found, words.replace('20%', "'20%'"));
    });
  }

  for (const unit of [
    '',
    'ARGUMENTS="',
    'ARGUMENTS="vg0/mail"',
    'ARGUMENTS="--nothing x y"',
    'ARGUMENTS="--help"',
  ]) {
    test(`is not known by words that are no cycle: ${unit}`, () => {
      assert.equal(placeIn(unit).size, 0);
    });
  }

  test('is known by the registry where the copy is on the same host', () => {
    const facts = { version: 1, inode: null, run: 'r', command: 'c', at: 'a', undo: null } as const;
    const entry: CopyEntry = { ...facts, path: '/dev/vg1/mail', chain: '/chain', former: null };
    const place = knownPlaces([entry], join(folder, 'none')).get(
      chainTag({ path: '/dev/vg1/mail' }, '/chain'),
    );
    assert.deepEqual(place, {
      destination: '/dev/vg1/mail',
      directory: '/chain',
      words: undefined,
    });
  });
});
