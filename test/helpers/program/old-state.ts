/** What the program of commit 4bc2114 left behind, put where it was made: see test/golden/state-4bc2114. */

import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { goldenPath } from '../golden.js';
import { CLI, type CliResult, runTool } from './cli.js';

export const OLD_STATE = goldenPath('state-4bc2114');
export const COPY = '/mnt/copy.img';
export const CHAIN = '/mnt/chain';
const ENTER = 'mount --bind "$1" /mnt; shift; exec "$@"';
const ENTER_DEVICE = `mount --bind "$1" /dev/loop0; shift; ${ENTER}`;

/** For `skip`: false, or why nothing can be bound to another place here. */
export function noBinding(): string | false {
  const mount = ['unshare', '--mount', '--propagation', 'private', 'mount', '--bind', '/', '/mnt'];
  const { status, stderr } = runTool(mount);
  return status === 0 ? false : `no mounts of its own: ${stderr.trim()}`;
}

/** What the source held at that point. */
export function oldState(number: number): Buffer {
  return readFileSync(join(OLD_STATE, 'states', `${number}.img`));
}

/** A folder that the programs run from it see as /mnt. It has the streams in it. */
export class OldPlace {
  readonly #folder: string;

  constructor(scratch: string) {
    this.#folder = mkdtempSync(join(scratch, 'mnt-'));
    cpSync(join(OLD_STATE, 'streams'), this.path('/mnt/streams'), { recursive: true });
  }

  /** With that chain and its copy. Git keeps no permissions but one. */
  static withChain(scratch: string, name: string): OldPlace {
    const place = new OldPlace(scratch);
    cpSync(join(OLD_STATE, 'chains', name), place.path('/mnt'), { recursive: true });
    chmodPrivately(place.path(CHAIN));
    return place;
  }

  /** Where a path below /mnt is, seen from here. */
  path(inside: string): string {
    return join(this.#folder, inside.replace(/^\/mnt/, ''));
  }

  write(inside: string, content: Buffer): void {
    writeFileSync(this.path(inside), content);
  }

  read(inside: string): Buffer {
    return readFileSync(this.path(inside));
  }

  /** Brings a file of the old program's to /mnt. */
  bring(name: string): string {
    const inside = `/mnt/${name.replace(/.*\//, '')}`;
    cpSync(join(OLD_STATE, name), this.path(inside));
    return inside;
  }

  /** Runs it to its end; `device` is a loop device that it sees as /dev/loop0. */
  lvmsync(words: readonly string[], { device, program = CLI }: Where = {}): CliResult {
    const enter = device === undefined ? [ENTER, 'sh'] : [ENTER_DEVICE, 'sh', device];
    const space = ['unshare', '--mount', '--propagation', 'private', 'sh', '-euc'];
    return runTool([...space, ...enter, this.#folder, process.execPath, program, ...words]);
  }

  turn(stream: string, options: readonly string[] = [], where: Where = {}): CliResult {
    const words = ['--apply', `/mnt/streams/${stream}`, '--chain', CHAIN, ...options, COPY];
    return this.lvmsync(words, where);
  }

  rollback(words: readonly string[], where: Where = {}): CliResult {
    return this.lvmsync(['rollback', ...words, COPY, CHAIN], where);
  }

  /** Every snapback of the chain, those that a rollback put aside too. */
  links(): string[] {
    const found = readdirSync(this.path(CHAIN), { recursive: true, encoding: 'utf8' });
    return found.filter((name) => name.endsWith('.snapback')).map((name) => `${CHAIN}/${name}`);
  }
}

export interface Where {
  readonly device?: string;
  /** Default: today's. */
  readonly program?: string;
}

function chmodPrivately(folder: string): void {
  chmodSync(folder, 0o700);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) chmodPrivately(path);
    else chmodSync(path, 0o600);
  }
}

/** A loop device over the file, or why there is none. */
export function attachLoop(path: string): { readonly device: string } | { readonly skip: string } {
  try {
    const argv = ['--find', '--show', path];
    return { device: execFileSync('losetup', argv, { encoding: 'utf8' }).trim() };
  } catch (error) {
    return { skip: `no loop device: ${error instanceof Error ? error.message : error}` };
  }
}

export function detachLoop(device: string): void {
  execFileSync('losetup', ['--detach', device]);
}
