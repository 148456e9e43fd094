import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { pathOf, takeDestination } from '../../../src/cli/destination-operand.js';
import { parseOptions } from '../../../src/cli/option-grammar.js';
import { toCommand } from '../../../src/cli/parse.js';

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

test('VG/LV is taken as --data-source, too', (t) => {
  const name = `shm/lvmsync-${process.pid}`;
  writeFileSync(`/dev/${name}`, '');
  t.after(() => rmSync(`/dev/${name}`));
  for (const [typed, path] of [
    [name, `/dev/${name}`],
    [`/dev/${name}`, `/dev/${name}`],
    ['vg9/nope', 'vg9/nope'],
  ] as const) {
    const command = toCommand(parseOptions(['vg/snap', '--data-source', typed, 'copy']));
    assert.ok(command.kind === 'sync');
    assert.equal(command.source.dataSource, path);
  }
});
