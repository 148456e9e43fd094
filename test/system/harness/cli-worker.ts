// Inside the guest: a process that runs one command line after the other, as its parent asks for them.
// Starting the program anew for each would take most of the time of a small run.

import { runInProcess } from '../../helpers/program/in-process.js';

process.on('message', async (words: string[]) => {
  const { status, stderr } = await runInProcess(words);
  process.send?.({ status, stderr });
});
