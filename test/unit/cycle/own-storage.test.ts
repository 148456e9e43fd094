import assert from 'node:assert/strict';
import { mkdirSync, realpathSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { EXIT, LvmsyncError } from '../../../src/base/errors.js';
import { refuseOwnStorage } from '../../../src/cycle/own-storage.js';
import { ownWrites } from '../../../src/source/thin-source.js';
import { FakeMachine } from '../../helpers/devices/fake-machine.js';
import { scratchFolder } from '../../helpers/scratch.js';

const GROUP = 'G'.repeat(32);
const ORIGIN = 'originoriginoriginoriginoriginor';
const origin = {
  vgName: 'vg0',
  lvName: 'root',
  uuid: `${ORIGIN}`,
  size: 4096,
  kind: 'thick',
} as const;

const folder = realpathSync(scratchFolder());
const here = (name: string): string => join(folder, name);
const machine = new FakeMachine();
after(() => machine.remove());

machine.add({ device: '8:0', kernelName: 'sda' });
const volume = (minor: number, uuid: string, slaves: readonly string[] = ['sda']): void => {
  const kernelName = `dm-${minor}`;
  machine.add({ device: `254:${minor}`, kernelName, dmUuid: `LVM-${GROUP}${uuid}`, slaves });
};
volume(0, `${ORIGIN}-real`);
volume(1, ORIGIN, ['dm-0']);
volume(2, 's'.repeat(32), ['dm-0']);
volume(3, 'o'.repeat(32));
machine.add({ device: '254:4', kernelName: 'dm-4', dmUuid: 'CRYPT-LUKS2-x', slaves: ['dm-1'] });
machine.add({ device: '7:0', kernelName: 'loop0', loopBacking: '/dev/dm-1' });

const MOUNTS = {
  origin: '254:1',
  snapshot: '254:2',
  other: '254:3',
  encrypted: '254:4',
  'through a loop': '7:0',
  btrfs: '0:50',
};
machine.mount('1 0 254:1 / / rw - ext4 /dev/dm-1 rw');
for (const [name, device] of Object.entries(MOUNTS)) {
  mkdirSync(here(name));
  const escaped = here(name).replaceAll(' ', '\\040');
  machine.mount(`2 1 ${device} / ${escaped} rw - fs ${name === 'btrfs' ? '/dev/dm-1' : 'x'} rw`);
}
mkdirSync(here('origin/nested'));
machine.mount(`3 2 254:3 / ${here('origin/nested')} rw - ext4 /dev/dm-3 rw`);
symlinkSync(here('origin'), here('other/link'));

const said: string[] = [];
const check = (directory: string, force = false): void => {
  const reporter = { warn: (text: string): unknown => said.push(text) };
  refuseOwnStorage(directory, origin, { force, reporter }, machine.effects);
};

describe('the directory of a chain', () => {
  for (const [where, directory] of [
    ['in a file system on the volume', here('origin/a.chain')],
    ['deep in folders that are not there yet', here('origin/a/b/c.chain')],
    ['behind a link that leads there', here('other/link/a.chain')],
    ['on the root file system, if that is the volume', '/no-such-folder-here/a.chain'],
    ['in an encrypted device in the volume', here('encrypted/a.chain')],
    ['in a loop device over the volume', here('through a loop/a.chain')],
    ['in a file system that has no device number of its own', here('btrfs/a.chain')],
  ] as const) {
    test(`is refused ${where}`, () => {
      assert.throws(
        () => check(directory),
        (error) => {
          assert.ok(error instanceof LvmsyncError);
          assert.equal(error.exitStatus, EXIT.snapback);
          assert.match(error.message, /: it is stored on vg0\/root, the volume that is copied/);
          assert.match(error.hint ?? '', /another volume, or use --force/);
          return true;
        },
      );
    });
  }

  for (const [where, directory] of [
    ['on another volume of the same group', here('other/a.chain')],
    ['on another volume that is mounted within it', here('origin/nested/a.chain')],
    ['beside a mount whose name it begins with', here('other/../other-one/../other')],
    ['on a snapshot of the volume, which is a volume of its own', here('snapshot/a.chain')],
  ] as const) {
    test(`is taken ${where}`, () => assert.doesNotThrow(() => check(directory)));
  }

  test('is taken anywhere under --force, with a warning', () => {
    said.length = 0;
    check(here('origin/a.chain'), true);
    assert.equal(said.length, 1);
    assert.match(said[0] ?? '', /stored on vg0\/root/);
  });
});

describe('F41: what is said of the records of lvmsync', () => {
  test('is that they are written to the source, where they lie on it', () => {
    const said = (device: string, directory: string): string =>
      ownWrites({ kind: 'block', device }, directory, machine.effects);
    const own = ` (lvmsync itself writes to it: its records are in ${here('origin/x')}, which lies on it)`;
    assert.equal(said('254:1', here('origin/x')), own);
    assert.match(said('254:1', here('encrypted')), /lvmsync itself/);
    assert.equal(said('254:1', here('other')), '');
    assert.equal(said('254:3', here('origin/x')), '');
  });
});
