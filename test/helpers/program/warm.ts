/**
 * Runs of lvmsync in a thread that has it loaded: starting Node takes half of the time of a small run, and more in
 * the guest, where page faults are slow.
 */

import { MessageChannel, receiveMessageOnPort, SHARE_ENV, Worker } from 'node:worker_threads';
import { native } from '../../../src/host/native.js';
import type { CliResult, Engine } from './cli.js';

/** What concerns the process (a hook may end its parent), its standard input, or what it writes byte by byte. */
const NEEDS_A_PROCESS =
  /^(-|-s.*|--st.*|--server|--nice.*|--ionice.*|--freeze.*|--thaw.*|--hash.*|--version|--help|help|bench|changes)$/;

/** For a release each run has a process of its own, as what users start has. */
export function canRunWarm(words: readonly string[]): boolean {
  return (
    process.env.LVMSYNC_CAMPAIGN !== 'release' && !words.some((word) => NEEDS_A_PROCESS.test(word))
  );
}

/** Does not return before the run has ended. */
export function runWarm(words: readonly string[], engine: Engine | undefined): CliResult {
  thread ??= new WarmThread();
  return thread.run(words, engine);
}

let thread: WarmThread | undefined;

/** Milliseconds: a thread that has died does not answer. */
const LONGEST_RUN = 600_000;

class WarmThread {
  readonly #port;
  readonly #answered = new Int32Array(new SharedArrayBuffer(4));

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const worker = new Worker(new URL('warm-thread.js', import.meta.url), {
      workerData: { port: port2, answered: this.#answered },
      transferList: [port2],
      env: SHARE_ENV,
      trackUnmanagedFds: false,
    });
    worker.unref();
    // Node would take the thread apart, with addons that do not expect that; nothing is left to be done.
    process.once('exit', (status) => native.endProcess(status));
    port1.unref();
  }

  run(words: readonly string[], engine: Engine | 'auto' = 'auto'): CliResult {
    Atomics.store(this.#answered, 0, 0);
    this.#port.postMessage({ words, engine });
    if (Atomics.wait(this.#answered, 0, 0, LONGEST_RUN) === 'timed-out') {
      throw new Error(`lvmsync ${words.join(' ')}: no end after ${LONGEST_RUN / 60_000} minutes`);
    }
    const { message } = receiveMessageOnPort(this.#port) ?? {};
    return { ...message, stdout: Buffer.from(message.stdout) };
  }
}
