/** The registry of copies, in a folder of its own. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { test } from 'node:test';
import { CopyOwner } from '../../../src/chain/copy-owner.js';
import { RegisteredCopy, registryDirectory } from '../../../src/chain/copy-registry.js';
import { FileDevice } from '../../../src/device/block-device.js';
import { scratchFolder } from '../../helpers/scratch.js';

const folder = scratchFolder();
let count = 0;

async function withCopy<T>(work: (device: FileDevice) => Promise<T>): Promise<T> {
  const path = join(folder, `copy-${count++}`);
  writeFileSync(path, Buffer.alloc(4096));
  const device = await FileDevice.open(path, { role: 'destination' });
  try {
    return await work(device);
  } finally {
    await device.close();
  }
}

function context(warnings: string[] = []) {
  return {
    commandLine: 'lvmsync test',
    reporter: { warn: (text: string) => void warnings.push(text) },
  };
}

/** As a chain leaves it. */
async function ownedByChain(device: FileDevice, registry: string): Promise<void> {
  const owner = await CopyOwner.find(device, context(), registry);
  owner.announce(owner.newWriter(), folder);
}

test('F34: all receivers of one run leave one entry, which no undo of a part takes away', async () => {
  const registry = join(folder, 'streams');
  await withCopy(async (device) => {
    await ownedByChain(device, registry);
    const owners = [];
    for (let i = 0; i < 3; i++) owners.push(await CopyOwner.find(device, context(), registry));
    for (const owner of owners) owner.announceOther({ undo: 'aa', set: 'the set' });
    const { entry } = await RegisteredCopy.find(device, registry);
    assert.deepEqual([entry?.run, entry?.chain, entry?.undo], ['the set', null, null]);
    assert.equal(entry?.former?.chain, folder);
  });
  const names = readdirSync(registry).filter((name) => name !== 'lock');
  assert.equal(names.length, 1, `no draft is left: ${names}`);
  assert.match(names[0] ?? '', /\.json$/);
});

test('F34: a copy of no chain has no entry', async () => {
  const registry = join(folder, 'plain');
  await withCopy(async (device) => {
    const owner = await CopyOwner.find(device, context(), registry);
    owner.warnOfChain();
    owner.announceOther({ undo: null });
    assert.equal((await RegisteredCopy.find(device, registry)).entry, undefined);
  });
});

test('F34: where nothing can be written the run goes on, with a warning', async () => {
  const warnings: string[] = [];
  await withCopy(async (device) => {
    const owner = await CopyOwner.find(device, context(warnings), '/proc/no/such/folder');
    owner.announce(owner.newWriter(), folder);
  });
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /cannot be recorded in the registry of copies \(ENOENT/);
});

test('F34: entries of copies that are gone do not grow without bounds', async () => {
  const registry = join(folder, 'many');
  mkdirSync(registry);
  for (let i = 0; i < 4200; i++) {
    const at = new Date(Date.UTC(2026, 0, 1) + i * 1000).toISOString();
    const facts = { version: 1, path: `/no/such/${i}`, inode: null, run: 'x', chain: '/x', at };
    const rest = { command: 'x', undo: null, former: null };
    writeFileSync(join(registry, `${i}.json`), JSON.stringify({ ...facts, ...rest }));
  }
  await withCopy((device) => ownedByChain(device, registry));
  const left = readdirSync(registry);
  assert.ok(left.length <= 4096, `${left.length} are left`);
  assert.ok(left.includes('4199.json') && !left.includes('0.json'), 'the newest');
});

test('F34: what is no entry is not waited for, nor followed without an end', async () => {
  const registry = join(folder, 'strange');
  await withCopy(async (device) => {
    await ownedByChain(device, registry);
    const [name = ''] = readdirSync(registry);
    const path = join(registry, name);
    const entry = JSON.parse(readFileSync(path, 'utf8'));
    const depth = 20_000;
    const head = JSON.stringify({ ...entry, former: undefined }).slice(0, -1);
    const nested = `${`${head},"former":`.repeat(depth)}null${'}'.repeat(depth)}`;
    writeFileSync(path, nested);
    const found = await RegisteredCopy.find(device, registry);
    assert.equal(found.unreadable, 'cannot be understood');
    rmSync(path);
    assert.equal(spawnSync('mkfifo', [path]).status, 0);
    const fifo = await RegisteredCopy.find(device, registry);
    assert.match(fifo.unreadable ?? '', /cannot be read \(ENOTSUP\)/);
  });
});

test('F34: the registry is never below the current directory', {
  skip: process.getuid?.() === 0 && 'root has another',
}, () => {
  const { XDG_STATE_HOME: state, HOME: home } = process.env;
  try {
    for (const given of ['', 'relative']) {
      Object.assign(process.env, { XDG_STATE_HOME: given, HOME: given });
      assert.ok(isAbsolute(registryDirectory()), registryDirectory());
    }
  } finally {
    Object.assign(process.env, { XDG_STATE_HOME: state, HOME: home });
  }
});
