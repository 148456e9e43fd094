// Inside the guest: runs of lvmsync that must not last for ever.

import { type ChildProcess, fork, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CLI } from '../../helpers/program/cli.js';

export interface Ended {
  /** Null where it did not end by itself. */
  readonly status: number | null;
  readonly stderr: string;
  readonly hung: boolean;
}

/** Milliseconds after which a run hangs, on a machine that is busy, too. */
const HANGS = 120_000;
const WORKER = fileURLToPath(new URL('cli-worker.js', import.meta.url));

/** Runs in a process of their own, with standard output in a file where one is named. */
export async function runAlone(words: readonly string[], stdoutFile?: string): Promise<Ended> {
  const stdout = stdoutFile === undefined ? 'ignore' : openSync(stdoutFile, 'w');
  const child = spawn(process.execPath, [CLI, ...words], {
    stdio: ['ignore', stdout, 'pipe'],
    detached: true,
  });
  if (typeof stdout === 'number') closeSync(stdout);
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  return await limited(child, closed);
}

/** Runs one after the other in one process, which a run that hangs does not survive. */
export class CliWorker {
  #child: ChildProcess | undefined;

  async run(words: readonly string[]): Promise<Ended> {
    this.#child ??= this.#start();
    const child = this.#child;
    let said = '';
    const answered = new Promise<number | null>((resolve) => {
      const exited = (): void => resolve(null);
      child.once('exit', exited);
      child.once('message', (answer: { readonly status: number; readonly stderr: string }) => {
        child.off('exit', exited);
        said = answer.stderr;
        resolve(answer.status);
      });
    });
    child.send(words);
    const { status, stderr, hung } = await limited(child, answered);
    return { status, stderr: `${said}${stderr}`, hung };
  }

  stop(): void {
    this.#child?.kill();
  }

  #start(): ChildProcess {
    const child = fork(WORKER, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], detached: true });
    child.once('exit', () => {
      this.#child = undefined;
    });
    return child;
  }
}

/** Waits for the end, but no longer than a run may take; then ends it with all that it started. */
async function limited(child: ChildProcess, ended: Promise<number | null>): Promise<Ended> {
  let stderr = '';
  const listen = (text: Buffer): void => {
    stderr += text;
  };
  child.stderr?.on('data', listen);
  let hung = false;
  const limit = setTimeout(() => {
    hung = true;
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, HANGS);
  const status = await ended;
  clearTimeout(limit);
  child.stderr?.off('data', listen);
  return { status, stderr, hung };
}
