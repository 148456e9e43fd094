// The thread that warm.ts starts: does the runs it is sent, one after the other.

import { type MessagePort, workerData } from 'node:worker_threads';
import type { Engine } from './cli.js';
import { runInProcess } from './in-process.js';

interface Request {
  readonly words: readonly string[];
  readonly engine: 'auto' | Engine;
}

const { port, answered } = workerData as { port: MessagePort; answered: Int32Array };

port.on('message', async ({ words, engine }: Request) => {
  port.postMessage(await runInProcess(words, engine));
  Atomics.store(answered, 0, 1);
  Atomics.notify(answered, 0);
});
