/** A source that needs no LVM, destinations, and the program that sends from one to the other. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readGoldenImage } from '../golden.js';
import { type CliResult, lvmsync } from '../program/cli.js';
import { scratchFolder } from '../scratch.js';
import { type FakeRsh, fakeRsh, loginShell, writeLvmsync } from './fake-rsh.js';

export class RemoteFixture {
  readonly folder = scratchFolder();
  readonly origin = readGoldenImage('thick-4k/origin.img');
  readonly snapshot = readGoldenImage('thick-4k/snapshot.img');
  /** The words that name the source. */
  readonly source: readonly string[];
  #count = 0;

  constructor() {
    mkdirSync(join(this.folder, 'bin'));
    writeLvmsync(join(this.folder, 'bin'));
    const cowStore = this.path('cow-store.img');
    const origin = this.path('origin.img');
    writeFileSync(cowStore, readGoldenImage('thick-4k/cow-store.img'));
    writeFileSync(origin, this.origin);
    this.source = ['--cow-store', cowStore, '--data-source', origin];
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** A new file that holds what the snapshot holds. */
  copy(name = `copy-${this.#count++}`): string {
    const path = this.path(name);
    writeFileSync(path, this.snapshot);
    return path;
  }

  rsh(body: string): FakeRsh {
    return fakeRsh(this.folder, body);
  }

  /** One that behaves as ssh does. */
  goodRsh(shell?: string): FakeRsh {
    return this.rsh(loginShell(shell));
  }

  /** Sends to `backup:PATH`. */
  send({ command }: FakeRsh, path: string, ...options: string[]): CliResult {
    return lvmsync([...this.source, '-e', command, ...options, `backup:${path}`]);
  }

  isSynced(path: string): boolean {
    return readFileSync(path).equals(this.origin);
  }

  isUntouched(path: string): boolean {
    return readFileSync(path).equals(this.snapshot);
  }

  /** Nothing but whole chunks of the one or the other image. */
  isMixed(path: string, chunkSize = 4096): boolean {
    const found = readFileSync(path);
    if (found.length !== this.origin.length) return false;
    for (let at = 0; at < found.length; at += chunkSize) {
      const chunk = found.subarray(at, at + chunkSize);
      const old = this.snapshot.subarray(at, at + chunkSize);
      if (!chunk.equals(old) && !chunk.equals(this.origin.subarray(at, at + chunkSize)))
        return false;
    }
    return true;
  }
}
