// Inside the guest: run a program to its end.

import { type SpawnSyncOptions, spawnSync } from 'node:child_process';

export interface ToolResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const OUTPUT_LIMIT = 64 * 1024 * 1024;

/** Runs a program and returns how it ended, whatever that is. */
export function tryTool(argv: readonly string[], options: SpawnSyncOptions = {}): ToolResult {
  const [program = '', ...words] = argv;
  const { error, status, stdout, stderr } = spawnSync(program, words, {
    maxBuffer: OUTPUT_LIMIT,
    ...options,
  });
  if (error !== undefined) throw error;
  return { status, stdout: `${stdout ?? ''}`, stderr: `${stderr ?? ''}` };
}

/** Runs a program that must succeed; returns its stdout without the last line end. */
export function tool(...argv: readonly string[]): string {
  const { status, stdout, stderr } = tryTool(argv);
  if (status !== 0) {
    throw new Error(`${argv.join(' ')}: status ${status}\n${stdout}${stderr}`);
  }
  return stdout.trimEnd();
}
