import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pathOf, takeDestination } from '../../../src/cli/destination-operand.js';

describe('F19: VG/LV as a destination', () => {
  const rows: readonly [operand: string, there: readonly string[], path: string][] = [
    ['vg1/mail', ['/dev/vg1/mail'], '/dev/vg1/mail'],
    ['vg1/mail', ['/dev/vg1/mail', 'vg1/mail'], 'vg1/mail'],
    ['vg1/mail', [], 'vg1/mail'],
    ['./vg1/mail', ['/dev/./vg1/mail'], './vg1/mail'],
    ['/vg1/mail', ['/dev//vg1/mail'], '/vg1/mail'],
    ['a/b/c', ['/dev/a/b/c'], 'a/b/c'],
    ['../mail', ['/dev/../mail'], '../mail'],
    ['mail.img', ['/dev/mail.img'], 'mail.img'],
  ];
  for (const [operand, there, path] of rows) {
    test(`${operand} is ${path} where there is: ${there.join(', ') || 'nothing'}`, () => {
      assert.equal(
        pathOf(operand, (name) => there.includes(name)),
        path,
      );
    });
  }

  test('is left to the host that is named', () => {
    assert.deepEqual(takeDestination(['backup:vg1/mail']), { host: 'backup', path: 'vg1/mail' });
  });
});
