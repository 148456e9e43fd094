import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { after, before, beforeEach, describe, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import {
  assertFails,
  CLI,
  type CliResult,
  lvmsync,
  runTool,
  syncs,
} from '../../helpers/program/cli.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import {
  assertDifferentContent,
  assertSameContent,
  saveContent,
  scattered,
  writeRandom,
} from '../harness/content.js';
import { withThickCopy, withThinCopy } from '../harness/copies.js';
import { KiB, type LogicalVolume, MiB } from '../harness/lvm.js';
import { HOST, SshServer } from '../harness/sshd.js';
import { discard, useOwnStateFolder } from '../harness/thin.js';
import { tool } from '../harness/tool.js';

const PAGE = 4 * KiB;
const size = 16 * MiB;
const random = new Random();
const folder = scratchFolder();
const snapback = `${folder}/undo`;

interface Report {
  readonly equal: boolean;
  readonly comparedBytes: number;
  readonly firstRanges: readonly { readonly offset: number; readonly length: number }[];
}

/** What `verify --json` found, one object for each comparison. */
function reportsOf(words: readonly string[], status: number): Report[] {
  const result = lvmsync(['verify', '--json', ...words]);
  assert.equal(result.status, status, `verify ${words.join(' ')}:\n${result.stderr}`);
  return `${result.stdout}`
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Report);
}

/** Flips one bit of the device, and returns the page it is in. */
function flipBit(path: string, at: number): { readonly offset: number; readonly length: number } {
  const script = `
    byte=$(dd if=${path} bs=1 skip=${at} count=1 status=none | od -An -tu1)
    printf "\\\\$(printf %o $((byte ^ 1)))" |
      dd of=${path} bs=1 seek=${at} conv=notrunc,fsync status=none`;
  const { status, stderr } = runTool(['bash', '-euc', script]);
  assert.equal(status, 0, stderr);
  return { offset: at - (at % PAGE), length: PAGE };
}

const hasServer = SshServer.missing() === undefined;
let server: SshServer | undefined;
before(() => {
  useOwnStateFolder();
  if (hasServer) server = SshServer.start();
});
after(() => server?.stop());
beforeEach(() => rmSync(snapback, { force: true }));

/** The words that name a destination, by the way to it. */
const WAYS: readonly [way: string, to: (path: string) => string[]][] = [
  ['here', (path) => [path]],
  ...(['command', 'ssh2'] as const).map((transport): [string, (path: string) => string[]] => [
    `over sshd, --transport ${transport}`,
    (path) => ['--transport', transport, `root@${HOST.right}:${path}`],
  ]),
];
const skipOf = (way: string) => (way === 'here' ? false : (SshServer.missing() ?? false));

describe('a verify of a thick snapshot', () => {
  const lab = withThickCopy({ random, names: ['mail', 'copy'] });
  let snapshot: LogicalVolume;

  before(() => {
    snapshot = lab.createSnapshot();
    // The first quarter stays as it was.
    const changes = scattered(random, (size * 3) / 4, { count: 200, length: PAGE });
    const moved = changes.map(({ offset, length }) => ({ offset: offset + size / 4, length }));
    writeRandom(lab.origin.path, random, moved);
  });

  // The flipped bit is enough of a test for the second transport.
  for (const [way, to] of WAYS.slice(0, 2)) {
    test(`${way}: 4 before a sync, 0 after it, of the changes and of everything`, {
      skip: skipOf(way),
    }, () => {
      saveContent(snapshot.path, lab.copy.path);
      const [before] = reportsOf([snapshot.path, ...to(lab.copy.path)], EXIT.different);
      assert.ok(before !== undefined && before.comparedBytes <= 200 * PAGE);
      syncs([snapshot.path, ...to(lab.copy.path)]);
      const [changes] = reportsOf([snapshot.path, ...to(lab.copy.path)], 0);
      assert.equal(changes?.comparedBytes, before.comparedBytes);
      const sources =
        way === 'here' ? [snapshot.path, 'vg0/mail', lab.origin.path] : [lab.origin.path];
      for (const source of sources) {
        const [full] = reportsOf(['--full', source, ...to(lab.copy.path)], 0);
        assert.equal(full?.comparedBytes, size);
      }
      lab.assertEqual();
    });
  }

  for (const [way, to] of WAYS) {
    test(`${way}: one flipped bit is found, and mended with a snapback and nothing else`, {
      skip: skipOf(way),
    }, () => {
      saveContent(lab.origin.path, lab.copy.path);
      const page = flipBit(lab.copy.path, random.below(size / 4));
      saveContent(lab.copy.path, `${folder}/flipped`);
      // A sync would not send it.
      reportsOf([snapshot.path, ...to(lab.copy.path)], 0);
      const words = ['--full', '--repair', '-b', snapback, lab.origin.path, ...to(lab.copy.path)];
      const [found, mended] = reportsOf(words, 0);
      assert.deepEqual(found?.firstRanges, [page]);
      assert.deepEqual([mended?.equal, mended?.comparedBytes], [true, PAGE]);
      lab.assertEqual();
      const saved = JSON.parse(`${lvmsync(['inspect', '--json', snapback]).stdout}`);
      assert.deepEqual([saved.firstByte, saved.bytes], [page.offset, PAGE]);
      assert.equal(lvmsync(['--apply', snapback, lab.copy.path]).status, 0);
      assertSameContent(lab.copy.path, `${folder}/flipped`);
    });
  }

  test('of a copy of the snapshot: what a sync reads is compared, or the snapshot itself', () => {
    saveContent(snapshot.path, lab.copy.path);
    reportsOf(['--full', snapshot.path, lab.copy.path], EXIT.different);
    reportsOf(['--full', snapshot.path, '--data-source', snapshot.path, lab.copy.path], 0);
  });

  test('an active volume and a mounted destination are read, and only a repair is refused', () => {
    saveContent(lab.origin.path, lab.copy.path);
    const filesystem = lab.group.createVolume('fs', 16 * MiB);
    const mounted = `${folder}/mounted`;
    tool('mkfs.ext4', '-q', filesystem.path);
    tool('mkdir', mounted);
    tool('mount', filesystem.path, mounted);
    try {
      const words = ['--full', filesystem.path, lab.copy.path];
      reportsOf(words, EXIT.different);
      const turned = ['verify', '--full', '--repair', lab.copy.path, filesystem.path];
      assertFails(lvmsync([...turned, '--allow-smaller']), EXIT.destinationUnfit, /mounted|in use/);
    } finally {
      tool('umount', mounted);
      lab.group.remove(filesystem);
    }
  });

  test('a source that is written meanwhile is warned of', () => {
    saveContent(lab.origin.path, lab.copy.path);
    const words = ['verify', '-v', '--full', '--bwlimit', '4M', lab.origin.path, lab.copy.path];
    // It is written what it holds, some time after the run has begun and long before it ends.
    const script = `
      dd if=${lab.origin.path} of=${folder}/first bs=4k count=1 status=none
      ${process.execPath} ${CLI} ${words.join(' ')} 2> ${folder}/said &
      until grep -q 'I/O through' ${folder}/said; do sleep 0.1; done
      sleep 1
      dd if=${folder}/first of=${lab.origin.path} bs=4k conv=notrunc,fsync status=none
      wait $!`;
    const { status } = runTool(['bash', '-c', script]);
    const said = readFileSync(`${folder}/said`, 'utf8');
    assert.equal(status, 0, said);
    assert.match(said, /^WARNING: .*mail: it was written while it was compared/m);
  });

  test('with a host that has no lvmsync ends with 17', { skip: !hasServer }, () => {
    const result: CliResult = lvmsync(['verify', snapshot.path, `${HOST.bare}:${lab.copy.path}`]);
    const stderr = result.stderr.replace(/^remote:.*\n/gm, '');
    assertFails({ ...result, stderr }, EXIT.transport, /was not found/);
  });
});

describe('a verify of thin volumes', () => {
  const pool = { size: 80 * MiB, blockSize: 64 * KiB };
  const lab = withThinCopy({ random, names: ['mail', 'copy'], pool });
  let older: LogicalVolume;
  let newer: LogicalVolume;

  before(() => {
    older = lab.pool.snapshot(lab.origin, 'older');
    lab.change(40);
    discard(lab.origin.path, 2 * MiB, MiB);
    newer = lab.pool.snapshot(lab.origin, 'newer');
  });

  for (const [way, to] of WAYS.slice(0, 2)) {
    test(`${way}: what changed, discards included, is compared and repaired`, {
      skip: skipOf(way),
    }, () => {
      saveContent(older.path, lab.copy.path);
      const words = ['--since', older.path, newer.path, ...to(lab.copy.path)];
      const [before] = reportsOf(words, EXIT.different);
      assert.ok(before !== undefined && before.comparedBytes >= MiB);
      assert.ok(before.comparedBytes < size / 2);
      const [, mended] = reportsOf(['--repair', ...words], 0);
      assert.equal(mended?.equal, true);
      assertSameContent(newer.path, lab.copy.path);
      reportsOf(['--full', newer.path, ...to(lab.copy.path)], 0);
    });
  }

  test('one flipped bit where nothing is mapped is found', () => {
    saveContent(newer.path, lab.copy.path);
    const page = flipBit(lab.copy.path, 2 * MiB + random.below(MiB));
    const [found] = reportsOf(['--since', older.path, newer.path, lab.copy.path], EXIT.different);
    assert.deepEqual(found?.firstRanges, [page]);
    assertDifferentContent(newer.path, lab.copy.path);
  });
});
