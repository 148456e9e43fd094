/** The tools that a run calls: whether they are there, and new enough. */

import { LvmsyncError } from '../../base/errors.js';
import { type Argv, CommandError, type CommandOutput, runCommand } from '../../host/subprocess.js';
import type { Diagnosis } from './report.js';

/** The planned use of this machine: a tool that it does not need is not missed. */
export interface Needs {
  /** Snapshots are read here. */
  readonly lvm: boolean;
  /** Thin volumes are read. */
  readonly thin: boolean;
  /** Another host is reached by the command ssh. */
  readonly ssh: boolean;
}

export interface Tool {
  readonly name: string;
  readonly argv: Argv;
  /** The version is its first group, in what the tool prints. */
  readonly pattern: RegExp;
  readonly minimum?: string;
  /** The use that is impossible without it. */
  readonly purpose: string;
  readonly need: keyof Needs;
  /** Of Debian. */
  readonly package: string;
  /** It is found in the user's PATH. */
  readonly userProgram?: true;
}

const LVM_VERSION = /LVM version:\s+([\d.]+)/;

export const TOOLS: readonly Tool[] = [
  {
    name: 'lvs',
    argv: ['lvs', '--version'],
    pattern: LVM_VERSION,
    purpose: 'no snapshot can be read',
    need: 'lvm',
    package: 'lvm2',
  },
  {
    name: 'vgcfgbackup',
    argv: ['vgcfgbackup', '--version'],
    pattern: LVM_VERSION,
    purpose: 'no snapshot can be read',
    need: 'lvm',
    package: 'lvm2',
  },
  {
    name: 'dmsetup',
    argv: ['dmsetup', '--version'],
    pattern: /Library version:\s+([\d.]+)/,
    purpose: 'no snapshot can be read, and fewer checks of a destination are possible',
    need: 'lvm',
    package: 'dmsetup',
  },
  {
    name: 'thin_dump',
    argv: ['thin_dump', '--version'],
    pattern: /(\d+\.[\d.]+)/,
    minimum: '0.9',
    purpose: 'no thin volume can be read',
    need: 'thin',
    package: 'thin-provisioning-tools',
  },
  {
    name: 'ssh',
    argv: ['ssh', '-V'],
    pattern: /OpenSSH_([\d.]+)/,
    purpose: 'a remote host can only be reached with --transport ssh2',
    need: 'ssh',
    package: 'openssh-client',
    userProgram: true,
  },
];

/** The output of the tool on both streams, or why there is none. */
export type ToolAnswer = CommandOutput | LvmsyncError;

export function judgeTool(tool: Tool, answer: ToolAnswer, needs: Needs): Diagnosis {
  const { name: subject, minimum, purpose } = tool;
  const worse = needs[tool.need] ? 'missing' : 'warning';
  const install = `On Debian: apt-get install ${tool.package}.`;
  if (answer instanceof LvmsyncError) {
    const isAbsent = answer instanceof CommandError && answer.status === undefined;
    const text = `${isAbsent ? 'not found' : answer.message}: ${purpose}`;
    return { level: worse, subject, text, ...(isAbsent && { remedy: install }) };
  }
  const version = tool.pattern.exec(`${answer.stdout}\n${answer.stderr}`)?.[1];
  if (version === undefined) {
    return { level: 'warning', subject, text: 'installed, but it does not report its version' };
  }
  if (minimum === undefined || isAtLeast(version, minimum)) {
    return { level: 'ok', subject, text: version };
  }
  const text = `${version} is too old, ${minimum} or newer is needed: ${purpose}`;
  return { level: worse, subject, text, remedy: `Install a newer ${tool.package}.` };
}

/** Compares versions such as 2.03.16, number by number; a part that is left out counts as 0. */
export function isAtLeast(version: string, minimum: string): boolean {
  const [actual = [], wanted = []] = [version, minimum].map((text) => text.split('.').map(Number));
  for (let i = 0; i < Math.max(actual.length, wanted.length); i++) {
    const difference = (actual[i] ?? 0) - (wanted[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

export async function examineTools(needs: Needs): Promise<Diagnosis[]> {
  return Promise.all(TOOLS.map(async (tool) => judgeTool(tool, await ask(tool), needs)));
}

async function ask({ argv, userProgram }: Tool): Promise<ToolAnswer> {
  try {
    return await runCommand(argv, { userProgram: userProgram === true });
  } catch (error) {
    if (error instanceof CommandError) return error;
    throw error;
  }
}
