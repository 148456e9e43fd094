/** The kernel's table and status of a device that is known by its numbers only. */

import { readFile } from 'node:fs/promises';
import type { RunCommand } from '../host/subprocess.js';
import { askHost } from './host-tools.js';

export type ReadTable = (device: string) => Promise<string | undefined>;

/** Undefined for a `major:minor` that is no device-mapper device. */
export function readMappedTable(
  device: string,
  run: RunCommand = askHost,
): Promise<string | undefined> {
  return ask(['dmsetup', 'table'], device, run);
}

/** The same of the status, as the kernel has it in memory. */
export function readMappedStatus(
  device: string,
  run: RunCommand = askHost,
): Promise<string | undefined> {
  return ask(['dmsetup', 'status', '--noflush'], device, run);
}

async function ask(
  words: readonly [string, ...string[]],
  device: string,
  run: RunCommand,
): Promise<string | undefined> {
  const [major = '', minor = ''] = device.split(':');
  const isMapped = await readFile(`/sys/dev/block/${device}/dm/name`).then(
    () => true,
    () => false,
  );
  if (!isMapped) return undefined;
  const { stdout } = await run([...words, '-j', major, '-m', minor]);
  return stdout;
}
