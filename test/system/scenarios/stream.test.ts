import assert from 'node:assert/strict';
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import {
  assertFails,
  CLI,
  ENGINES,
  engineSetting,
  lvmsync,
  runTool,
  syncs,
} from '../../helpers/cli.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import {
  assertSameContent,
  fillRandom,
  saveContent,
  scattered,
  writeRandom,
} from '../harness/content.js';
import { KiB, type LogicalVolume, MiB, TestVolumeGroup } from '../harness/lvm.js';

describe('a change stream made with --stdout', () => {
  const random = new Random();
  const folder = scratchFolder();
  const stream = `${folder}/stream`;
  const former = `${folder}/former`;
  let group: TestVolumeGroup;
  let origin: LogicalVolume;
  let copy: LogicalVolume;
  let snapshot: LogicalVolume;

  before(() => {
    group = new TestVolumeGroup({ size: 300 * MiB });
    origin = group.createVolume('data', 32 * MiB);
    copy = group.createVolume('copy', 32 * MiB);
    fillRandom(origin.path, random, origin.size);
    saveContent(origin.path, former);
    snapshot = group.createSnapshot(origin, { chunkSize: 4 * KiB });
    const plan = { count: 1500, length: 4 * KiB };
    writeRandom(origin.path, random, scattered(random, origin.size, plan));
    syncs(['--stdout', snapshot.path], { stdoutFile: stream });
  });
  after(() => group.destroy());

  for (const engine of ENGINES) {
    test(`makes a volume equal when applied from a file (${engine})`, () => {
      saveContent(former, copy.path);
      syncs(['--stdout', snapshot.path], { engine, stdoutFile: stream });
      syncs(['--apply', stream, copy.path], { engine });
      assertSameContent(origin.path, copy.path);
    });

    test(`makes a volume equal when piped from one process to another (${engine})`, () => {
      saveContent(former, copy.path);
      const pipeline = 'set -o pipefail; "$0" "$1" --stdout "$2" | "$0" "$1" --apply - "$3"';
      const { status, stderr } = runTool(
        ['bash', '-c', pipeline, process.execPath, CLI, snapshot.path, copy.path],
        { env: engineSetting(engine) },
      );
      assert.equal(status, 0, stderr);
      assertSameContent(origin.path, copy.path);
    });
  }

  test('begins with the line that every reader of the format knows', () => {
    assert.equal(readFileSync(stream).subarray(0, 17).toString(), 'lvmsync PROTO[3]\n');
  });

  test('is applied from stdin with --apply - and with the old --server', () => {
    for (const words of [['--apply', '-'], ['--server']]) {
      saveContent(former, copy.path);
      syncs([...words, copy.path], { stdinFile: stream });
      assertSameContent(origin.path, copy.path);
    }
  });

  test('applied twice leaves the same content', () => {
    saveContent(former, copy.path);
    syncs(['--apply', stream, copy.path]);
    syncs(['--apply', stream, copy.path]);
    assertSameContent(origin.path, copy.path);
  });

  test('that is cut is refused as truncated, and a whole one mends what was left', () => {
    const cut = `${folder}/cut`;
    writeFileSync(cut, readFileSync(stream));
    truncateSync(cut, Math.floor(statSync(stream).size / 2));
    saveContent(former, copy.path);
    assertFails(lvmsync(['--apply', cut, copy.path]), EXIT.streamTruncated, /ends|truncated|cut/i);
    syncs(['--apply', stream, copy.path]);
    assertSameContent(origin.path, copy.path);
  });

  test('whose first header is damaged is refused and nothing is written', () => {
    const damaged = `${folder}/damaged`;
    const bytes = readFileSync(stream);
    bytes.fill(0xff, 17, 29);
    writeFileSync(damaged, bytes);
    saveContent(former, copy.path);
    assertFails(lvmsync(['--apply', damaged, copy.path]), EXIT.streamCorrupt, /./);
    assertSameContent(former, copy.path);
  });

  test('is not mistaken for any other file', () => {
    saveContent(former, copy.path);
    const result = lvmsync(['--apply', '/etc/passwd', copy.path]);
    assertFails(result, EXIT.streamCorrupt, /expected/i);
    assert.match(result.stderr, /root:x:0/, 'shows what it saw');
    assertSameContent(former, copy.path);
  });

  test('to a full disk fails', () => {
    assertFails(
      lvmsync(['--stdout', snapshot.path], { stdoutFile: '/dev/full' }),
      EXIT.destinationWrite,
      /no space/i,
    );
  });

  test('to a volume that is smaller is refused before anything is written', () => {
    const small = group.createVolume('small', 8 * MiB);
    const untouched = `${folder}/small`;
    fillRandom(small.path, random, small.size);
    saveContent(small.path, untouched);
    assertFails(lvmsync(['--apply', stream, small.path]), EXIT.destinationUnfit, /too small/i);
    assertSameContent(small.path, untouched);
    group.remove(small);
  });
});
