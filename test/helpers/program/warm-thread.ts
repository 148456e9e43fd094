// The thread that warm.ts starts: does the runs it is sent, one after the other.

import { type MessagePort, workerData } from 'node:worker_threads';
import { OWN_PROGRAM } from '../../../src/host/addon.js';
import { CLI, type Engine } from './cli.js';
import { runInProcess } from './in-process.js';

interface Request {
  readonly words: readonly string[];
  readonly engine: 'auto' | Engine;
}

const { port, answered } = workerData as { port: MessagePort; answered: Int32Array };

// What these runs start themselves is what a user starts, and faster than the modules.
(OWN_PROGRAM as unknown as string[])[1] = CLI;

port.on('message', async ({ words, engine }: Request) => {
  port.postMessage(await runInProcess(words, engine));
  Atomics.store(answered, 0, 1);
  Atomics.notify(answered, 0);
});
