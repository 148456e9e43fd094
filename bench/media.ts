/** What the whole runs read and write: loop devices over files in memory, or the files themselves. */

import { execFileSync, spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MIB = 2 ** 20;
const PIECE = 16 * MIB;

/** Two devices of one size and a folder on the same memory; `close` gives all of it back. */
export class Media {
  readonly folder: string;
  readonly size: number;
  readonly kind: 'loop devices on tmpfs' | 'files on tmpfs' | 'files';
  readonly source: string;
  readonly destination: string;
  readonly #loops: string[] = [];

  /** `size` in bytes, a multiple of 16 MiB. Both devices hold random bytes, different ones. */
  constructor(size: number, parent: string) {
    this.size = size;
    this.folder = mkdtempSync(join(parent, 'lvmsync-bench-'));
    try {
      const paths = ['source', 'destination'].map((name) => this.#device(name));
      [this.source = '', this.destination = ''] = paths;
    } catch (error) {
      this.close();
      throw error;
    }
    if (this.#loops.length > 0) this.kind = 'loop devices on tmpfs';
    else this.kind = isMemory(parent) ? 'files on tmpfs' : 'files';
  }

  /** A path in the folder. */
  file(name: string): string {
    return join(this.folder, name);
  }

  close(): void {
    for (const loop of this.#loops) execFileSync('losetup', ['-d', loop]);
    rmSync(this.folder, { recursive: true });
  }

  #device(name: string): string {
    const path = this.file(name);
    const fd = openSync(path, 'wx');
    const piece = Buffer.allocUnsafe(PIECE);
    randomFillSync(piece);
    for (let offset = 0; offset < this.size; offset += PIECE) {
      // Pieces differ, so that what is written to a wrong place shows.
      piece.writeDoubleLE(offset, 0);
      writeSync(fd, piece, 0, PIECE, offset);
    }
    closeSync(fd);
    const made = spawnSync('losetup', ['-f', '--show', path], { encoding: 'utf8' });
    if (made.status !== 0) return path;
    const loop = made.stdout.trim();
    this.#loops.push(loop);
    return loop;
  }
}

/** A folder in memory, where there is one. */
export function memoryFolder(): string {
  return isMemory('/dev/shm') ? '/dev/shm' : tmpdir();
}

function isMemory(folder: string): boolean {
  const { stdout } = spawnSync('stat', ['-f', '-c', '%T', folder], { encoding: 'utf8' });
  return stdout?.trim() === 'tmpfs';
}
