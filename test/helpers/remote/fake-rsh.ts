/**
 * Programs that stand for ssh, to be named with --rsh: `PROGRAM HOST WORD...` evaluates the words as
 * the login shell of an account does, or misbehaves. Each is a script of sh.
 */

import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CLI } from '../program/cli.js';

export interface FakeRsh {
  /** For --rsh. */
  readonly command: string;
  /** What it was called with last, one word in each line. */
  readonly argvFile: string;
}

let count = 0;

/**
 * Makes a program in `folder` that notes its arguments and then runs `body`. There, `$host` is the
 * host, `$line` the words joined by blanks, as sshd hands them to a shell, and `lvmsync` is ours.
 */
export function fakeRsh(folder: string, body: string): FakeRsh {
  const name = `rsh-${count++}`;
  const path = join(folder, name);
  const argvFile = join(folder, `${name}.argv`);
  const tools = join(folder, 'bin');
  const script = [
    '#!/bin/sh',
    `printf '%s\\n' "$@" > ${argvFile}`,
    'host=$1',
    'shift',
    'line="$*"',
    `export PATH=${tools}:"$PATH"`,
    body,
    '',
  ];
  writeFileSync(path, script.join('\n'));
  chmodSync(path, 0o755);
  return { command: path, argvFile };
}

/** The folder that fakeRsh puts in front of PATH, with our program, or another, as `lvmsync`. */
export function writeLvmsync(tools: string, program = CLI): void {
  const path = join(tools, 'lvmsync');
  writeFileSync(path, `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`);
  chmodSync(path, 0o755);
}

/** As a login shell runs what ssh brings. */
export function loginShell(shell = 'sh'): string {
  return `exec ${shell} -c "$line"`;
}
