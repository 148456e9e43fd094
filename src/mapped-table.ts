/** The kernel's table of a device that is known by its numbers only. */

import { readFile } from 'node:fs/promises';
import { type RunCommand, runCommand } from './command.js';

/** Undefined for a `major:minor` that is no device-mapper device. */
export async function readMappedTable(
  device: string,
  run: RunCommand = runCommand,
): Promise<string | undefined> {
  const [major = '', minor = ''] = device.split(':');
  const isMapped = await readFile(`/sys/dev/block/${device}/dm/name`).then(
    () => true,
    () => false,
  );
  if (!isMapped) return undefined;
  const { stdout } = await run(['dmsetup', 'table', '-j', major, '-m', minor]);
  return stdout;
}
