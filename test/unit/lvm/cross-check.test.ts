import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import type { RunCommand } from '../../../src/host/subprocess.js';
import { findSnapshot } from '../../../src/lvm/find-volume.js';
import {
  type Host,
  lvsWith,
  missing,
  recorded,
  refusal,
  runOn,
} from '../../helpers/lvm/lvm-host.js';

const thick = recorded('thick');
const thin = recorded('thin');

describe('findSnapshot refuses with exit code 10', () => {
  const disagreements: readonly (readonly [string, Host, string])[] = [
    [
      'origin',
      editMetadata('origin = "da-ta--x"\n\t\t\t\tcow_store = "sn-ap"', 'da-ta--x', 'mid'),
      'lvs: da-ta--x, metadata: mid',
    ],
    [
      'origin',
      editMetadata('cow_store = "sn-ap"', 'cow_store', 'merging_store'),
      'lvs: da-ta--x, metadata: nothing',
    ],
    [
      'chunk size',
      editMetadata('chunk_size = 8', '8', '16'),
      'lvs: 4096, metadata: 8192, kernel: 4096',
    ],
    [
      'chunk size',
      { ...thick, table: thick.table.replace(' P 8', ' P 64') },
      'lvs: 4096, metadata: 4096, kernel: 32768',
    ],
    [
      'chunk size',
      lvsWith(thick, 'sn-ap', { chunk_size: '512' }),
      'lvs: 512, metadata: 4096, kernel: 4096',
    ],
    [
      'size at the snapshot',
      { ...thick, table: thick.table.replace(/(sn--ap: 0) 131072/, '$1 8') },
      'lvs: 67108864, metadata: 67108864, kernel: 4096',
    ],
    ['device', lvsWith(thick, 'sn-ap', { lv_kernel_minor: '9' }), 'lvs: 254:9, kernel: 254:3'],
    [
      'COW store',
      { ...thick, table: thick.table.replace('254:2 P 8', '254:4 P 8') },
      'its table: 254:4, its name: 254:2',
    ],
    [
      'origin device',
      { ...thick, table: thick.table.replace('254:1 254:2 P', '254:9 254:2 P') },
      'its table: 254:9, its name: 254:1',
    ],
  ];
  for (const [what, host, words] of disagreements) {
    test(`where LVM and the kernel disagree about the ${what} (${words})`, async () => {
      const error = await refusal(findSnapshot('my-vg/sn-ap', runOn(host), missing));
      assert.equal(
        error.message,
        `my-vg/sn-ap: LVM and the kernel disagree about its ${what} (${words})`,
      );
      assert.equal(error.exitStatus, 10);
    });
  }

  test('where the device of that name has the uuid of another volume', async () => {
    const info = thick.info.replace(/(sn--ap \d+ \d+ LVM-.{63})./, '$1_');
    const error = await refusal(findSnapshot('my-vg/sn-ap', runOn({ ...thick, info }), missing));
    assert.match(error.message, /disagree about its uuid \(lvs: LVM-\w{64}, kernel: LVM-\w{64}\)$/);
  });

  test('where a thin volume has another id in the kernel or another pool in the metadata', async () => {
    const table = thin.table.replace('thin 254:2 1\n', 'thin 254:2 77\n');
    const id = await refusal(findSnapshot('v/data', runOn({ ...thin, table }), missing));
    assert.match(id.message, /thin id \(lvs: 1, metadata: 1, kernel: 77\)$/);
    const metadata = thin.metadata.replaceAll('thin_pool = "pool"', 'thin_pool = "other"');
    const pool = await refusal(findSnapshot('v/data', runOn({ ...thin, metadata }), missing));
    assert.match(pool.message, /pool \(lvs: pool, metadata: other\)$/);
  });

  const unanswered: readonly (readonly [string, Host, RegExp])[] = [
    [
      'a device that has gone since',
      { ...thick, table: thick.table.replace(/^my--vg-sn--ap: .*\n/m, '') },
      /^dmsetup: exit status 1 \(Device does not exist\.; Command failed\.\)$/,
    ],
    [
      'metadata of another group',
      { ...thick, metadata: thick.metadata.replace('my-vg {', 'x {') },
      /^vgcfgbackup: no section "my-vg" in its text$/,
    ],
  ];
  for (const [what, host, message] of unanswered) {
    test(what, async () => {
      const error = await refusal(findSnapshot('my-vg/sn-ap', runOn(host), missing));
      assert.match(error.message, message);
      assert.equal(error.exitStatus, 10);
    });
  }

  /** Changes the metadata inside the first place where `around` stands. */
  function editMetadata(around: string, from: string, to: string): Host {
    assert.ok(thick.metadata.includes(around), around);
    return { ...thick, metadata: thick.metadata.replace(around, around.replace(from, to)) };
  }
});

describe('the metadata text of a volume group', () => {
  const metadataTexts = [
    ['is read', thick],
    ['cannot be read', { ...thick, metadata: 'my-vg {' }],
  ] as const;
  for (const [what, host] of metadataTexts) {
    test(`keeps the metadata text for itself and removes it when it ${what}`, async () => {
      const run = runOn(host);
      let folder = '';
      let mode = 0;
      const watch: RunCommand = async (argv, options) => {
        const output = await run(argv, options);
        if (argv[0] === 'vgcfgbackup') {
          folder = dirname(argv[2] ?? '');
          mode = statSync(folder).mode & 0o777;
        }
        return output;
      };
      const outcome = await findSnapshot('my-vg/sn-ap', watch, missing).catch(String);
      assert.equal(typeof outcome === 'string', host !== thick, String(outcome));
      assert.equal(mode, 0o700);
      assert.throws(() => statSync(folder), { code: 'ENOENT' });
    });
  }

  test('reads the metadata text in a folder whose name has percent signs', async () => {
    const before = process.env.TMPDIR;
    const folder = mkdtempSync(join(tmpdir(), 'lvmsync-test-%s-%%-'));
    process.env.TMPDIR = folder;
    try {
      const found = await findSnapshot('my-vg/sn-ap', runOn(thick), missing);
      assert.equal(found.lvName, 'sn-ap');
    } finally {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
      rmSync(folder, { recursive: true });
    }
  });

  test('names the line of metadata that it cannot read', async () => {
    const host = { ...thick, metadata: 'my-vg {' };
    const error = await refusal(findSnapshot('my-vg/sn-ap', runOn(host), missing));
    assert.equal(error.message, 'LVM metadata, line 1: section "my-vg" has no end');
    assert.equal(error.exitStatus, 10);
  });
});
