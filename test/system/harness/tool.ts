// Inside the guest: run a program that must succeed.

import { runTool } from '../../helpers/program/cli.js';

/** Returns its stdout without the last line end. */
export function tool(...argv: readonly string[]): string {
  const { status, stdout, stderr } = runTool(argv);
  if (status !== 0) {
    throw new Error(`${argv.join(' ')}: status ${status}\n${stdout}${stderr}`);
  }
  return `${stdout}`.trimEnd();
}
