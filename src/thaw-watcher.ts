/**
 * A process of its own: waits for the end of its input. Ended by "dismissed", it has nothing to do;
 * without it, the run that started it was killed, and it runs its arguments, the command that thaws.
 */

import { text } from 'node:stream/consumers';
import { DISMISSED, runCommand } from './command.js';

// What ends the run (Ctrl-C, a closed terminal) must not end who cleans up after it.
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined);

const [, , program = '', ...words] = process.argv;
process.stdout.write('ready\n');
const said = await text(process.stdin);
if (said.trim() !== DISMISSED) await runCommand([program, ...words], { userProgram: true });
