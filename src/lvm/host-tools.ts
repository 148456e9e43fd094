/**
 * The tools of the host, of which dmsetup is often not started: what it would print about one device the
 * kernel is asked for, which takes microseconds instead of a process.
 */

import { isNativeError, type MappedDevice, type MappedSelector, native } from '../host/native.js';
import type { Argv, RunCommand } from '../host/subprocess.js';
import { runTool } from './lvm-tool.js';

/** As runTool. Where the kernel does not answer, the tool says why. */
export const askHost: RunCommand = async (argv, options = {}) => {
  const question = questionOf(argv);
  if (question === undefined || options.signal?.aborted === true) return runTool(argv, options);
  try {
    return { stdout: await answer(question), stderr: '' };
  } catch (error) {
    if (!isNativeError(error)) throw error;
    return runTool(argv, options);
  }
};

interface Question {
  readonly verb: 'table' | 'status' | 'statusNoFlush' | 'info';
  readonly devices: readonly MappedSelector[];
}

async function answer({ verb, devices }: Question): Promise<string> {
  const asked = verb === 'info' ? 'table' : verb;
  const found: MappedDevice[] = [];
  for (const device of devices) found.push(await native.askDeviceMapper(device, asked));
  const lines = verb === 'info' ? found.map(infoLine) : found.flatMap(targetLines);
  return lines.map((line) => `${line}\n`).join('');
}

/** As `dmsetup info -c --noheadings --separator ' ' -o name,major,minor,uuid` prints it. */
function infoLine({ name, number, uuid }: MappedDevice): string {
  return `${name} ${number.replace(':', ' ')} ${uuid}`;
}

function targetLines({ targets }: MappedDevice): string[] {
  return targets.map(({ start, length, type, words }) => `${start} ${length} ${type} ${words}`);
}

/** Names as dmsetup and the kernel write them alike; the kernel holds 127 bytes. */
const NAME = '[\\w#+.:=@-]{1,127}';
const OF_ONE = new RegExp(
  `^dmsetup (table|status)( --noflush)? (?:-u (${NAME})|-- (${NAME})|-j (\\d+) -m (\\d+))$`,
);
const OF_NAMES = new RegExp(
  `^dmsetup info -c --noheadings --separator   -o name,major,minor,uuid --((?: ${NAME})+)$`,
);

/** Undefined unless it is a question about named devices. */
function questionOf(argv: Argv): Question | undefined {
  const line = argv.join(' ');
  const [, names] = OF_NAMES.exec(line) ?? [];
  if (names !== undefined) {
    return {
      verb: 'info',
      devices: names
        .trim()
        .split(' ')
        .map((name) => ({ name })),
    };
  }
  const [, verb, noFlush, uuid, name, major, minor] = OF_ONE.exec(line) ?? [];
  if (verb !== 'table' && verb !== 'status') return undefined;
  const asked = noFlush === undefined ? verb : 'statusNoFlush';
  if (uuid !== undefined) return { verb: asked, devices: [{ uuid }] };
  if (name !== undefined) return { verb: asked, devices: [{ name }] };
  return { verb: asked, devices: [{ major: Number(major), minor: Number(minor) }] };
}
