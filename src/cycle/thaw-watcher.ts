/** The process that outlives a run, should that be killed while something is frozen for it. */

import { text } from 'node:stream/consumers';
import { DISMISSED, runCommand } from '../host/subprocess.js';

/**
 * Waits for the end of its input. Ended by "dismissed", it has nothing to do; without it, the run that
 * started it was killed, and the arguments, the command that thaws, are run for it.
 */
export async function watchFrozen([program = '', ...args]: readonly string[]): Promise<void> {
  // A signal that ends the run (Ctrl-C, a closed terminal) must not end the process that cleans up after it.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined);

  process.stdout.write('ready\n');
  const said = await text(process.stdin);
  if (said.trim() !== DISMISSED) await runCommand([program, ...args], { userProgram: true });
}
