import assert from 'node:assert/strict';
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import {
  assertFails,
  CLI,
  ENGINES,
  engineSetting,
  lvmsync,
  runTool,
  syncs,
} from '../../helpers/program/cli.js';
import { assertSameContent, fillRandom, saveContent } from '../harness/content.js';
import { withThickCopy } from '../harness/copies.js';
import { MiB } from '../harness/lvm.js';

describe('a change stream made with --stdout', () => {
  const lab = withThickCopy({ size: 32 * MiB, changes: 1500 });
  const { folder } = lab;
  const stream = `${folder}/stream`;
  before(() => syncs(['--stdout', lab.snapshot.path], { stdoutFile: stream }));

  for (const engine of ENGINES) {
    test(`makes a volume equal when applied from a file (${engine})`, () => {
      lab.restore();
      syncs(['--stdout', lab.snapshot.path], { engine, stdoutFile: stream });
      syncs(['--apply', stream, lab.copy.path], { engine });
      lab.assertEqual();
    });

    test(`makes a volume equal when piped from one process to another (${engine})`, () => {
      lab.restore();
      const pipeline = 'set -o pipefail; "$0" "$1" --stdout "$2" | "$0" "$1" --apply - "$3"';
      const { status, stderr } = runTool(
        ['bash', '-c', pipeline, process.execPath, CLI, lab.snapshot.path, lab.copy.path],
        { env: engineSetting(engine) },
      );
      assert.equal(status, 0, stderr);
      lab.assertEqual();
    });
  }

  test('begins with the line that every reader of the format knows', () => {
    assert.equal(readFileSync(stream).subarray(0, 17).toString(), 'lvmsync PROTO[3]\n');
  });

  test('is applied from stdin with --apply - and with the old --server', () => {
    for (const words of [['--apply', '-'], ['--server']]) {
      lab.restore();
      syncs([...words, lab.copy.path], { stdinFile: stream });
      lab.assertEqual();
    }
  });

  test('applied twice leaves the same content', () => {
    lab.restore();
    syncs(['--apply', stream, lab.copy.path]);
    syncs(['--apply', stream, lab.copy.path]);
    lab.assertEqual();
  });

  test('that is cut is refused as truncated, and a whole one mends what was left', () => {
    const cut = `${folder}/cut`;
    writeFileSync(cut, readFileSync(stream));
    truncateSync(cut, Math.floor(statSync(stream).size / 2));
    lab.restore();
    assertFails(
      lvmsync(['--apply', cut, lab.copy.path]),
      EXIT.streamTruncated,
      /ends|truncated|cut/i,
    );
    syncs(['--apply', stream, lab.copy.path]);
    lab.assertEqual();
  });

  test('whose first header is damaged is refused and nothing is written', () => {
    const damaged = `${folder}/damaged`;
    const bytes = readFileSync(stream);
    bytes.fill(0xff, 17, 29);
    writeFileSync(damaged, bytes);
    lab.restore();
    assertFails(lvmsync(['--apply', damaged, lab.copy.path]), EXIT.streamCorrupt, /./);
    lab.assertUntouched();
  });

  test('is not mistaken for any other file', () => {
    lab.restore();
    const result = lvmsync(['--apply', '/etc/passwd', lab.copy.path]);
    assertFails(result, EXIT.streamCorrupt, /not a change stream or snapback/);
    assert.match(result.stderr, /root:x:0/, 'shows what it saw');
    lab.assertUntouched();
  });

  test('to a full disk fails', () => {
    assertFails(
      lvmsync(['--stdout', lab.snapshot.path], { stdoutFile: '/dev/full' }),
      EXIT.destinationWrite,
      /no space/i,
    );
  });

  test('to a volume that is smaller is refused before anything is written', () => {
    const small = lab.group.createVolume('small', 8 * MiB);
    const untouched = `${folder}/small`;
    fillRandom(small.path, lab.random, small.size);
    saveContent(small.path, untouched);
    assertFails(lvmsync(['--apply', stream, small.path]), EXIT.destinationUnfit, /too small/i);
    assertSameContent(small.path, untouched);
    lab.group.remove(small);
  });
});
