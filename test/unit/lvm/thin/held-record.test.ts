import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, test } from 'node:test';
import { ownIdentity } from '../../../../src/host/process-identity.js';
import {
  type FoundRecord,
  isLeftover,
  openHeldRecord,
} from '../../../../src/lvm/thin/held-record.js';
import { scratchFolder } from '../../../helpers/scratch.js';

const scratch = scratchFolder();
let directory: string;
beforeEach(() => {
  directory = join(mkdtempSync(join(scratch, 'record-')), 'made', 'for', 'it');
});

describe('the record of who holds a metadata snap', () => {
  test('is read back as it was written, and gone once removed', () => {
    const record = openHeldRecord('LVM-a', directory);
    assert.equal(record.read(), undefined);
    record.write({ transactionId: 5 });
    const found = { owner: { ...ownIdentity(), kernelLock: true }, hasEnded: false };
    assert.deepEqual(record.read(), { ...found, transactionId: 5 });
    record.write({ heldRoot: 4711 });
    assert.deepEqual(record.read(), { ...found, heldRoot: 4711 });
    record.remove();
    record.remove();
    assert.equal(record.read(), undefined);
    assert.deepEqual(readdirSync(directory), [], 'no draft is left either');
  });

  test('is its owner’s alone', () => {
    const record = openHeldRecord('LVM-a', directory);
    record.write({ heldRoot: 1 });
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    assert.equal(statSync(record.path).mode & 0o777, 0o600);
  });

  test('has a name for each pool, which stays within the directory', () => {
    const names = ['LVM-a', 'LVM-b', '../../etc/passwd'].map(
      (uuid) => openHeldRecord(uuid, directory).path,
    );
    assert.equal(new Set(names).size, 3);
    for (const name of names) assert.equal(join(name, '..'), directory);
  });

  const owner = ownIdentity();
  const strange: readonly (readonly [string, string])[] = [
    ['nothing', ''],
    ['a cut record', JSON.stringify({ owner, heldRoot: 7 }).slice(0, -9)],
    ['no object', '7'],
    ['null', 'null'],
    ['no owner', '{"heldRoot":7}'],
    ['an owner that is null', '{"owner":null}'],
    ['a pid that is a text', JSON.stringify({ owner: { ...owner, pid: '7' } })],
    ['no boot id', JSON.stringify({ owner: { ...owner, bootId: undefined } })],
    ['a start time that is a number', JSON.stringify({ owner: { ...owner, startTime: 5 } })],
    ['no pid namespace', JSON.stringify({ owner: { ...owner, pidNamespace: null } })],
  ];
  for (const [what, text] of strange) {
    test(`counts as none if it holds ${what}`, () => {
      const record = openHeldRecord('LVM-a', directory);
      writeFileSync(record.path, text);
      assert.equal(record.read(), undefined);
    });
  }

  test('is a pool failure that names the file where it cannot be kept', () => {
    writeFileSync(join(scratch, 'file'), '');
    assert.throws(() => openHeldRecord('LVM-a', join(scratch, 'file')), {
      code: 'pool',
      message: /^.*LVM-a\.held\.json: the record .* cannot be written \(E/,
    });
    const record = openHeldRecord('LVM-a', directory);
    rmSync(directory, { recursive: true });
    assert.throws(() => record.write({ heldRoot: 1 }), { code: 'pool' });
    assert.throws(() => record.remove(), { code: 'pool' });
  });
});

describe('the run of a record', () => {
  const live = ownIdentity();
  const owners: readonly (readonly [string, object, boolean])[] = [
    ['of an older version lives, as its pid says', live, false],
    ['of an older version died, as its pid says', { ...live, startTime: '1' }, true],
    ['of an older version is in another container', { ...live, pidNamespace: 'x' }, false],
    ['F10: has no lock, and its pid is given out again', { ...live, kernelLock: true }, true],
    ['F10: died in a container', { ...live, kernelLock: true, pidNamespace: 'x' }, true],
  ];
  for (const [whose, owner, ended] of owners) {
    test(`${whose}: it has ${ended ? '' : 'not '}ended`, () => {
      const record = openHeldRecord('LVM-a', directory);
      writeFileSync(record.path, JSON.stringify({ owner, heldRoot: 7 }));
      assert.equal(record.read()?.hasEnded, ended);
    });
  }

  test('lives while another part of this process reads what it wrote', () => {
    openHeldRecord('LVM-a', directory).write({ heldRoot: 7 });
    assert.equal(openHeldRecord('LVM-a', directory).read()?.hasEnded, false);
  });
});

describe('isLeftover', () => {
  const owner = ownIdentity();
  const held = { heldRoot: 7, transactionId: 3 };
  const rows: readonly (readonly [string, Omit<FoundRecord, 'owner'>, boolean])[] = [
    ['of a dead run', { hasEnded: true, heldRoot: 7 }, true],
    ['of a run that lives', { hasEnded: false, heldRoot: 7 }, false],
    ['of a dead run, with another root', { hasEnded: true, heldRoot: 8 }, false],
    ['of a dead run that was about to reserve', { hasEnded: true, transactionId: 3 }, true],
    ['of a live run that is about to reserve', { hasEnded: false, transactionId: 3 }, false],
    ['of one that was, before the pool went on', { hasEnded: true, transactionId: 2 }, false],
    ['of one that was, nobody knows when', { hasEnded: true }, false],
  ];
  for (const [what, record, wanted] of rows) {
    test(`is ${wanted} for a record ${what}`, () => {
      assert.equal(isLeftover({ owner, ...record }, held), wanted);
    });
  }

  test('is false without a record', () => assert.equal(isLeftover(undefined, held), false));
});
