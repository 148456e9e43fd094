/** Preloaded into a program with `--import`: writes its peak memory in KiB to the file PEAK_FILE. */

import { readFileSync, writeFileSync } from 'node:fs';

const path = process.env.PEAK_FILE ?? '';

process.on('exit', () => {
  // Unlike the maximum of getrusage it does not count what the parent had when it forked.
  const [, peak = ''] =
    /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  writeFileSync(path, peak);
});
