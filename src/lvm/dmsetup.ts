/** Answers of device-mapper about its devices: a function for each question. Throws what the tool fails with. */

import { readFile } from 'node:fs/promises';
import type { CommandOptions, RunCommand } from '../host/subprocess.js';
import type { TargetPlace } from './dmsetup-lines.js';
import { parseStatus, type StatusTarget } from './dmsetup-status.js';
import { type DeviceInfo, parseInfo, parseTable, type TableTarget } from './dmsetup-table.js';
import { askHost } from './host-tools.js';

/** By its name. */
export async function tableOf(
  name: string,
  run: RunCommand,
  options: CommandOptions,
): Promise<readonly (TargetPlace & TableTarget)[]> {
  const { stdout } = await run(['dmsetup', 'table', '--', name], options);
  return parseTable(stdout);
}

/** By its uuid; as the kernel has it in memory, which costs a thin pool no commit. */
export async function statusOf(
  dmUuid: string,
  run: RunCommand,
  options: CommandOptions,
): Promise<readonly (TargetPlace & StatusTarget)[]> {
  const { stdout } = await run(['dmsetup', 'status', '--noflush', '-u', dmUuid], options);
  return parseStatus(stdout);
}

/** Keys are the names. */
export async function infoOf(
  names: readonly string[],
  run: RunCommand,
  options: CommandOptions,
): Promise<ReadonlyMap<string, DeviceInfo>> {
  const columns = ['-c', '--noheadings', '--separator', ' ', '-o', 'name,major,minor,uuid'];
  const { stdout } = await run(['dmsetup', 'info', ...columns, '--', ...names], options);
  return parseInfo(stdout);
}

export type ReadTable = (device: string) => Promise<string | undefined>;

/** Undefined for a `major:minor` that is not a device-mapper device. */
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
