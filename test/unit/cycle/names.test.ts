import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  CYCLE_TAG,
  chainTag,
  chainTagOf,
  pointTime,
  snapshotName,
  timeOfTags,
  timeTag,
  UNCONFIRMED_TAG,
  usesOfTags,
  useTag,
} from '../../../src/cycle/names.js';
import { formatDeviceName } from '../../../src/lvm/device-name.js';

const TIME = '2026-11-23T10:55:07Z';
/** What LVM takes in a tag on every version. */
const TAG = /^[A-Za-z0-9_+.-]{1,128}$/;

describe('the tag of a chain', () => {
  const here = chainTag({ path: '/dev/vg/copy' }, '/chain');
  const there = chainTag({ host: 'backup', path: '/dev/vg/copy' }, '/chain');

  test('is one that LVM takes', () => assert.match(here, TAG));

  for (const [what, other] of [
    ['host', there],
    ['destination', chainTag({ path: '/dev/vg/other' }, '/chain')],
    ['directory', chainTag({ path: '/dev/vg/copy' }, '/other')],
    ['place of the parts', chainTag({ path: '/dev/vg/copy/chain' }, '')],
  ] as const) {
    test(`differs for another ${what}`, () => assert.notEqual(other, here));
  }

  for (const [path, directory] of [
    ['/dev/vg/copy', '/chain/'],
    ['/dev/vg/copy/', '/chain'],
    ['/dev//vg/copy', '//chain///'],
  ] as const) {
    test(`is the same with more slashes, as in ${path} and ${directory}`, () => {
      assert.equal(chainTag({ path }, directory), here);
    });
  }

  test('differs for a home directory and what is called as that is written', () => {
    const [home, file] = ['~/', '~'].map((directory) => chainTag({ path: '/copy' }, directory));
    assert.notEqual(home, file);
  });

  // What earlier versions tagged has to be found.
  test('does not change from version to version', () => {
    assert.equal(there, 'lvmsync_b1712027de92');
    assert.equal(chainTag({ path: '/' }, '~/chain'), 'lvmsync_e049f7c0b59d');
  });

  test('is found among other tags', () => {
    const others = [CYCLE_TAG, UNCONFIRMED_TAG, timeTag(TIME), 'lvmsync_other'];
    assert.equal(chainTagOf([...others, here, 'mine']), here);
    assert.equal(chainTagOf(others), undefined);
  });

  test('is the same whoever logs in there', () => {
    const user = chainTag({ host: 'root@backup', path: '/dev/vg/copy' }, '/chain');
    assert.equal(user, there);
  });
});

describe('the time of a snapshot', () => {
  test('stands in a tag that LVM takes', () => assert.match(timeTag(TIME), TAG));

  test('is read from that tag among others', () => {
    assert.equal(timeOfTags(['lvmsync_cycle', timeTag(TIME), 'other']), TIME);
  });

  for (const tags of [[], ['lvmsync_cycle'], ['lvmsync_at_'], ['lvmsync_at_20261123']]) {
    test(`is not read from ${JSON.stringify(tags)}`, () =>
      assert.equal(timeOfTags(tags), undefined));
  }

  test('has whole seconds', () => assert.equal(pointTime(Date.parse(TIME) + 999), TIME));
});

describe('what the snapshots before had to hold', () => {
  const MOST = 9_999_999_999 * 1024;

  test('stands in a tag that LVM takes, also for the largest volumes', () => {
    const tag = useTag(Array(9).fill(MOST));
    assert.match(tag, TAG);
    assert.deepEqual(usesOfTags([tag]), Array(8).fill(MOST));
  });

  test('is read in whole KiB, never less', () => {
    const tag = useTag([1, 1024, 1025]);
    assert.equal(tag, 'lvmsync_used_1.1.2');
    assert.deepEqual(usesOfTags(['lvmsync_cycle', tag, 'mine']), [1024, 1024, 2048]);
  });

  test('is not the tag of a chain', () => assert.equal(chainTagOf([useTag([1])]), undefined));

  test('is the larger where two tags were left', () => {
    assert.deepEqual(usesOfTags(['lvmsync_used_1.5', 'lvmsync_used_3.2.7']), [3072, 5120, 7168]);
  });

  for (const tags of [[], ['lvmsync_used_'], ['lvmsync_used_1..2'], ['lvmsync_used_x']]) {
    test(`is not read from ${JSON.stringify(tags)}`, () => assert.deepEqual(usesOfTags(tags), []));
  }
});

describe('the name of a snapshot', () => {
  test('tells of what and when it is', () => {
    const name = snapshotName({ vgName: 'vg0', lvName: 'mail' }, TIME);
    assert.equal(name, 'mail-lvmsync-20261123T105507Z');
  });

  for (const [vgName, lvName] of [
    ['v'.repeat(60), 'l'.repeat(66)],
    ['v-'.repeat(30), 'l-'.repeat(20)],
    ['v'.repeat(90), 'l'],
  ] as const) {
    test(`fits into the kernel's limit for ${vgName.length} and ${lvName.length} characters`, () => {
      const name = snapshotName({ vgName, lvName }, TIME);
      const longest = formatDeviceName({ vgName, lvName: name, layer: 'cow' });
      assert.ok(longest.length <= 127, longest);
      assert.match(name, /^[lv].*-lvmsync-20261123T105507Z$/);
    });
  }
});
