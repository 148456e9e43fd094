/** Metadata of thin pools in plain files, made and read by real thin-provisioning-tools. */

import { execFile, execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CommandStream } from '../../../src/host/subprocess.js';

export const METADATA_BLOCK = 4096;
const SUPERBLOCK_SALT = 160774;
const LOCATION = 8;
const HELD_ROOT = 56;
const SPACE_MAP_ROOTS = { start: 64, end: 320 };

export interface ThinTools {
  readonly version: string;
  /** The path of thin_dump, thin_restore or thin_delta. */
  path(tool: string): string;
}

/** Those of the machine. Undefined: there are none. */
export function installedThinTools(): ThinTools | undefined {
  return toolsIn('/usr/sbin');
}

/** A 1.x, or the reason why it cannot be had. */
export function newerThinTools(): ThinTools | string {
  const script = fileURLToPath(new URL('../../../../scripts/fetch-thin-tools', import.meta.url));
  try {
    const folder = execFileSync(script, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    return toolsIn(folder.trim()) ?? 'what scripts/fetch-thin-tools fetched does not run';
  } catch (error) {
    const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    return stderr === '' ? String(error) : stderr;
  }
}

function toolsIn(folder: string): ThinTools | undefined {
  try {
    const text = execFileSync(join(folder, 'thin_dump'), ['--version'], { encoding: 'utf8' });
    const version = /\d+\.\d+\.\d+/.exec(text)?.[0] ?? 'of no version';
    return { version, path: (tool) => join(folder, tool) };
  } catch {
    return undefined;
  }
}

export interface ToolRun {
  readonly status: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export function runTool(program: string, argv: readonly string[]): Promise<ToolRun> {
  return new Promise((resolve) => {
    const options = { encoding: 'buffer', maxBuffer: 2 ** 30 } as const;
    const child = execFile(program, argv, options, (_error, stdout, stderr) => {
      resolve({ status: child.exitCode, stdout, stderr: stderr.toString() });
    });
  });
}

/** What `ended` of a tool's stream rejects with. */
export class ToolFailure extends Error {}

/** As a running tool, whose output arrives in pieces of `size`. */
export function streamOf(run: ToolRun, size = 64 * 1024): CommandStream {
  const failure = new ToolFailure(`ended with status ${run.status}: ${run.stderr}`);
  const ended = run.status === 0 ? Promise.resolve() : Promise.reject(failure);
  ended.catch(() => undefined);
  return { stdout: piecesOf(run.stdout, size), ended, stop: () => undefined };
}

async function* piecesOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** A metadata device in the file `path`, with a metadata snap in its last block. */
export async function makeMetadata(
  tools: ThinTools,
  path: string,
  { xml, size }: { xml: string; size: number },
): Promise<void> {
  const input = `${path}.xml`;
  writeFileSync(input, xml);
  closeSync(openSync(path, 'w'));
  truncateSync(path, size);
  const { status, stderr } = await runTool(tools.path('thin_restore'), ['-i', input, '-o', path]);
  if (status !== 0) throw new Error(`thin_restore ended with status ${status}: ${stderr}`);
  holdMetadataSnapIn(path);
}

export function holdMetadataSnapIn(path: string): void {
  const image = readFileSync(path);
  holdMetadataSnap(image);
  writeFileSync(path, image);
}

/** What the kernel does on `reserve_metadata_snap`, but for counting the references to the trees. */
function holdMetadataSnap(image: Buffer): void {
  const last = image.length / METADATA_BLOCK - 1;
  const live = image.subarray(0, METADATA_BLOCK);
  const held = image.subarray(last * METADATA_BLOCK);
  if (held.some((byte) => byte !== 0)) throw new Error('the last metadata block is in use');
  live.copy(held);
  held.fill(0, SPACE_MAP_ROOTS.start, SPACE_MAP_ROOTS.end);
  held.writeBigUInt64LE(BigInt(last), LOCATION);
  live.writeBigUInt64LE(BigInt(last), HELD_ROOT);
  for (const block of [live, held]) {
    block.writeUInt32LE((crc32c(block.subarray(4)) ^ SUPERBLOCK_SALT) >>> 0, 0);
  }
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** From ~0, and not inverted at the end. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0);
  return crc >>> 0;
}

export function dumpDevices(
  tools: ThinTools,
  path: string,
  deviceIds: readonly number[],
): Promise<ToolRun> {
  const ids = deviceIds.flatMap((id) => ['--dev-id', String(id)]);
  return runTool(tools.path('thin_dump'), ['-m', ...ids, path]);
}

export function deltaOf(
  tools: ThinTools,
  path: string,
  { from, to }: { from: number; to: number },
): Promise<ToolRun> {
  const argv = ['-m', '--snap1', String(from), '--snap2', String(to), path];
  return runTool(tools.path('thin_delta'), argv);
}
