// T14: every class of device and file as source and as destination, in sizes that fit no chunk.

import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import { writeCowStore } from '../../helpers/devices/cow-store.js';
import { Campaign, campaignSize } from '../../helpers/faults/campaign.js';
import { assertFails, assertSucceeds, type Engine, syncs } from '../../helpers/program/cli.js';
import { runInProcess } from '../../helpers/program/in-process.js';
import { Random } from '../../helpers/random.js';
import { scratchFolder } from '../../helpers/scratch.js';
import { writeWhole } from '../harness/content.js';
import { DEVICE_CLASSES, loop } from '../harness/device-classes.js';
import { KiB, MiB } from '../harness/lvm.js';
import { tool } from '../harness/tool.js';

const random = new Random();

interface Geometry {
  readonly name: string;
  /** Both in bytes. */
  readonly chunkSize: number;
  readonly size: number;
}

const GEOMETRIES: readonly Geometry[] = [
  { name: 'a whole number of chunks', chunkSize: 4 * KiB, size: MiB },
  { name: 'one sector more than its chunks', chunkSize: 4 * KiB, size: MiB + 512 },
  { name: 'one large sector more', chunkSize: 64 * KiB, size: MiB + 4 * KiB },
  { name: 'half a chunk more', chunkSize: 512 * KiB, size: MiB + 256 * KiB },
  { name: 'less than a chunk', chunkSize: 512 * KiB, size: 60 * KiB },
];

interface Change {
  readonly former: Buffer;
  readonly content: Buffer;
  readonly cowStore: string;
}

/** Two thirds of the chunks differ, the last one among them. */
function makeChange({ chunkSize, size }: Geometry): Change {
  const former = random.bytes(size);
  const content = Buffer.from(former);
  const chunks = Math.ceil(size / chunkSize);
  const oldChunks = Array.from({ length: chunks }, (_, chunk) => chunk).filter(
    (chunk) => chunk === chunks - 1 || random.below(3) > 0,
  );
  for (const chunk of oldChunks) {
    const at = chunk * chunkSize;
    random.bytes(Math.min(chunkSize, size - at)).copy(content, at);
  }
  const cowStore = `${scratchFolder()}/store`;
  writeCowStore(cowStore, { chunkSize, oldChunks });
  return { former, content, cowStore };
}

/** Runs with a snapback and undoes it; the destination must hold the one content, then the other. */
async function thereAndBack(
  words: readonly string[],
  destination: string,
  { former, content }: Change,
): Promise<void> {
  const snapback = `${scratchFolder()}/snapback`;
  writeWhole(destination, former);
  assertSucceeds(await runInProcess(['--snapback', snapback, ...words, destination], anyEngine()));
  assert.ok(readFileSync(destination).equals(content), 'the new content is there');
  assertSucceeds(await runInProcess(['--apply', snapback, destination], anyEngine()));
  assert.ok(readFileSync(destination).equals(former), 'the former content is back');
}

function anyEngine(): Engine {
  return random.below(2) === 0 ? 'uring' : 'threads';
}

interface NamedPath {
  readonly name: string;
  readonly path: string;
}

/** One of each class that can be of that size. */
function makeAll(t: TestContext, size: number): NamedPath[] {
  const folder = scratchFolder();
  return DEVICE_CLASSES.filter(({ sectorSize }) => size % sectorSize === 0).map(
    ({ name, make }, index) => ({ name, path: make(t, `${folder}/${index}`, size) }),
  );
}

test('any class of source is brought to any class of destination, and undone', async (t) => {
  const campaign = new Campaign(t, 'T14 classes of devices', random.seed);
  for (const [turn, geometry] of GEOMETRIES.entries()) {
    await t.test(`where the size is ${geometry.name}`, (inner) =>
      tryClasses(inner, { geometry, turn }, campaign),
    );
  }
  campaign.finish(60);
});

/** Each pair of classes meets every third geometry; before a release, all of them. */
const STEP = campaignSize({ commit: 3, release: 1 });

async function tryClasses(
  t: TestContext,
  { geometry, turn }: { readonly geometry: Geometry; readonly turn: number },
  campaign: Campaign,
): Promise<void> {
  const { name, size } = geometry;
  const change = makeChange(geometry);
  const sources = makeAll(t, size);
  const file = `${scratchFolder()}/read-only`;
  writeFileSync(file, change.content);
  for (const { path } of sources) writeWhole(path, change.content);
  sources.push({ name: 'a read-only device', path: loop(t, file, size, '--read-only') });
  const destinations = makeAll(t, size);
  const stream = `${scratchFolder()}/stream`;
  syncs([...offline(change, file), '--stdout'], { stdoutFile: stream });
  for (const [i, destination] of destinations.entries()) {
    const { path } = destination;
    for (const [j, source] of sources.entries()) {
      if ((turn + i + j) % STEP !== 0) continue;
      await campaign.run(`${name}: from ${source.name} to ${destination.name}`, () =>
        thereAndBack(offline(change, source.path), path, change),
      );
    }
    await campaign.run(`${name}: from a stream to ${destination.name}`, () =>
      thereAndBack(['--apply', stream], path, change),
    );
  }
}

function offline({ cowStore }: Change, data: string): readonly string[] {
  return ['--cow-store', cowStore, '--data-source', data];
}

describe('very large devices', () => {
  const PiB = 2 ** 50;

  /** A source of that size whose last chunk changed, and a destination. */
  function lab(t: TestContext, size: number, chunkSize: number) {
    const folder = scratchFolder();
    const cowStore = `${folder}/store`;
    writeCowStore(cowStore, { chunkSize, oldChunks: [0, size / chunkSize - 1] });
    const data = loop(t, `${folder}/source`, size);
    const destination = loop(t, `${folder}/destination`, size);
    return {
      words: ['--cow-store', cowStore, '--data-source', data, destination],
      data,
      destination,
    };
  }

  test('of 7 PiB are brought up to date to their last byte, and undone', async (t) => {
    const chunkSize = 4 * KiB;
    const size = 7 * PiB;
    const { words, data, destination } = lab(t, size, chunkSize);
    const tail = random.bytes(chunkSize);
    writeAt(data, size - chunkSize, tail);
    const snapback = `${scratchFolder()}/snapback`;
    assertSucceeds(await runInProcess(['--snapback', snapback, ...words]));
    assert.ok(readAt(destination, size - chunkSize, chunkSize).equals(tail));
    assertSucceeds(await runInProcess(['--apply', snapback, destination]));
    assert.ok(readAt(destination, size - chunkSize, chunkSize).equals(Buffer.alloc(chunkSize)));
  });

  test('of 7 EiB, whose bytes cannot all be named, are refused untouched', async (t) => {
    const { words, destination } = lab(t, 7 * 1024 * PiB, 512 * KiB);
    assertFails(await runInProcess(words), EXIT.sourceUnfit, /large/);
    assert.ok(readAt(destination, 0, MiB).equals(Buffer.alloc(MiB)));
  });
});

function writeAt(path: string, offset: number, content: Buffer): void {
  const descriptor = openSync(path, 'r+');
  try {
    writeSync(descriptor, content, 0, content.length, offset);
  } finally {
    closeSync(descriptor);
  }
}

function readAt(path: string, offset: number, length: number): Buffer {
  const descriptor = openSync(path, 'r');
  try {
    const content = Buffer.alloc(length);
    assert.equal(readSync(descriptor, content, 0, length, offset), length);
    return content;
  } finally {
    closeSync(descriptor);
  }
}

describe('what cannot be a source or a destination', () => {
  const geometry = { name: '', chunkSize: 4 * KiB, size: MiB };
  const change = makeChange(geometry);
  const folder = scratchFolder();
  const data = `${folder}/data`;

  interface Refusal {
    readonly what: string;
    readonly path: (t: TestContext) => string;
    readonly message: RegExp;
  }
  const none: readonly Refusal[] = [
    { what: '/dev/null', path: () => '/dev/null', message: /neither a block device nor a regular/ },
    { what: 'a folder', path: () => folder, message: /it is a directory/ },
    { what: 'nothing', path: () => `${folder}/none`, message: /no such device or file/ },
    { what: 'a symbolic link to nothing', path: danglingLink, message: /no such device or file/ },
    { what: 'a fifo', path: makeFifo, message: /neither a block device nor a regular/ },
  ];

  function danglingLink(): string {
    const path = `${scratchFolder()}/link`;
    symlinkSync(`${folder}/none`, path);
    return path;
  }

  function makeFifo(): string {
    const path = `${scratchFolder()}/fifo`;
    tool('mkfifo', path);
    return path;
  }

  const unfit: readonly Refusal[] = [
    ...none,
    {
      what: 'a read-only device',
      path: (t) => loop(t, `${scratchFolder()}/disk`, MiB, '--read-only'),
      message: /read-only/,
    },
    {
      what: 'a device that is one sector too small',
      path: (t) => loop(t, `${scratchFolder()}/disk`, MiB - 512),
      message: /too small/,
    },
    { what: 'the source by another name', path: linkToData, message: /which this run reads/ },
  ];

  function linkToData(): string {
    const path = `${scratchFolder()}/link`;
    symlinkSync(data, path);
    return path;
  }

  for (const { what, path, message } of none) {
    test(`a source that is ${what} is refused`, async (t) => {
      const destination = loop(t, `${scratchFolder()}/disk`, MiB);
      const words = [...offline(change, path(t)), destination];
      assertFails(await runInProcess(words), EXIT.sourceUnfit, message);
    });
  }

  for (const { what, path, message } of unfit) {
    test(`a destination that is ${what} is refused, and no snapback is made`, async (t) => {
      tool('truncate', '-s', `${MiB}`, data);
      writeWhole(data, change.content);
      const snapback = `${scratchFolder()}/snapback`;
      const words = [...offline(change, data), '--snapback', snapback, path(t)];
      assertFails(await runInProcess(words), EXIT.destinationUnfit, message);
      assert.ok(!existsSync(snapback));
      assert.ok(readFileSync(data).equals(change.content));
    });
  }

  test('/dev/null can be the snapback of a run that needs none', async () => {
    writeWhole(data, change.content);
    const destination = `${scratchFolder()}/copy`;
    tool('truncate', '-s', `${MiB}`, destination);
    writeWhole(destination, change.former);
    const words = [...offline(change, data), '--snapback', '/dev/null', destination];
    assertSucceeds(await runInProcess(words));
    assert.ok(readFileSync(destination).equals(change.content));
  });
});
