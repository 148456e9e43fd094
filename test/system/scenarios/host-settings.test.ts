// Hosts that are set up in their own way: lvm.conf, the place for temporary files, a user who is not root.

import assert from 'node:assert/strict';
import { copyFileSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { askHost } from '../../../src/lvm/host-tools.js';
import { assertFails, assertSucceeds, CLI, lvmsync, runTool } from '../../helpers/program/cli.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { assertSameContent, fillRandom, saveContent } from '../harness/content.js';
import { snapshotsOf } from '../harness/cycles.js';
import { KiB, type LogicalVolume, MiB, TestVolumeGroup } from '../harness/lvm.js';
import { TestThinPool, useOwnStateFolder } from '../harness/thin.js';
import { tool } from '../harness/tool.js';

/** Each changes a report of lvs, or what any tool of LVM says. */
const SETTINGS = [
  'report/compact_output=1',
  'report/compact_output_cols="move_pv"',
  'report/list_item_separator=";"',
  'log/command_names=1',
  'log/report_command_log=1',
] as const;

describe('a host that is set up in its own way', () => {
  const random = new Random();
  const folder = scratchFolder();
  let group: TestVolumeGroup;
  let copy: LogicalVolume;

  before(() => {
    useOwnStateFolder();
    group = new TestVolumeGroup({ size: 100 * MiB, extentSize: MiB });
    copy = group.createVolume('copy', 4 * MiB);
    const thick = group.createVolume('thick', 4 * MiB);
    saveContent(thick.path, copy.path);
    group.createSnapshot(thick, { name: 'snap', chunkSize: 4 * KiB });
    fillRandom(thick.path, random, MiB);
    const pool = new TestThinPool(group, {
      blockSize: 64 * KiB,
      metadataSize: 2 * MiB,
      size: 24 * MiB,
    });
    const thin = pool.createVolume('thin', 4 * MiB);
    tool('lvcreate', '-q', '-y', '-s', '-n', 'thinsnap', 'vg0/thin');
    fillRandom(thin.path, random, MiB);
  });
  after(() => group.destroy());

  /** Makes the settings those of every tool of LVM that is started with this environment. */
  function hostWith(settings: readonly string[]): NodeJS.ProcessEnv {
    const etc = join(folder, `${settings.length}-${settings[0]?.replace(/\W/g, '-')}`);
    mkdirSync(etc);
    cpSync('/etc/lvm', etc, { recursive: true });
    writeFileSync(join(etc, 'lvmlocal.conf'), settings.map((one) => `${one}\n`).join(''));
    return { ...process.env, LVM_SYSTEM_DIR: etc };
  }

  test('F15: no setting changes a report, though each would', async () => {
    const report = ['--reportformat', 'json', '-a', '-o', 'lv_name,lv_role,move_pv', 'vg0'];
    const usual = runTool(['lvs', ...report]);
    const wanted = usual.stdout.toString() + usual.stderr;
    for (const setting of SETTINGS) {
      const env = hostWith([setting]);
      const plain = runTool(['lvs', ...report], { env });
      const said = plain.stdout.toString() + plain.stderr;
      assert.notEqual(said, wanted, `${setting} should change what LVM prints`);
      process.env.LVM_SYSTEM_DIR = env.LVM_SYSTEM_DIR;
      const { stdout, stderr } = await askHost(['lvs', ...report]);
      delete process.env.LVM_SYSTEM_DIR;
      assert.equal(stdout + stderr, wanted, setting);
    }
  });

  test('F15: all of them together, for a sync, a cycle and its snapshots', () => {
    const env = hostWith(SETTINGS);
    assertSucceeds(lvmsync(['vg0/snap', copy.path], { env }));
    assertSameContent('/dev/vg0/thick', copy.path);
    const chain = join(folder, 'chain');
    const turn = ['cycle', 'vg0/thin', copy.path, '--snapback', chain];
    assertSucceeds(lvmsync([...turn, '--init'], { env }));
    fillRandom('/dev/vg0/thin', random, MiB);
    assertSucceeds(lvmsync(turn, { env }));
    assertSameContent('/dev/vg0/thin', copy.path);
    assert.equal(snapshotsOf('vg0').length, 1, 'a turn keeps one snapshot');
  });

  test('F16: the folder for temporary files is missing', () => {
    const env = { ...process.env, TMPDIR: '/nowhere' };
    assertSucceeds(lvmsync(['--dry-run', 'vg0/snap', copy.path], { env }));
  });

  test('F17: a user who is not root reads that root is needed, and nothing else', () => {
    const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    const argv = [...asNobody, process.execPath, CLI, 'vg0/snap', join(folder, 'copy.img')];
    copyFileSync('/dev/null', join(folder, 'copy.img'));
    const result = runTool(argv);
    assertFails(result, 10, /^FATAL ERROR: lvs: it needs root$/);
    assert.match(result.stderr, /sudo lvmsync/);
    assert.ok(result.stderr.split('\n').length < 6, result.stderr);
  });

  test('F17: a descriptor that the parent left open is in no message', () => {
    const shell = `exec 9</proc/self/status; exec "$@"`;
    const argv = ['sh', '-c', shell, 'sh', process.execPath, CLI, 'vg0/none', copy.path];
    const result = runTool(argv);
    assertFails(result, 1, /no such logical volume/);
    assert.doesNotMatch(result.stderr, /leaked/);
  });
});
