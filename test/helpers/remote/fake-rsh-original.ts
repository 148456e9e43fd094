/**
 * The original lvmsync as a program: `--apply - [--snapback FILE] [-v] [-d] [-q] DESTINATION`, with
 * regular files. Like it, it reads everything, prints nothing for good input, and trusts its input.
 */

import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { receiveAsOriginal } from '../streams/original-receiver.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    apply: { type: 'string', short: 'a' },
    snapback: { type: 'string', short: 'b' },
    verbose: { type: 'boolean', short: 'v' },
    debug: { type: 'boolean', short: 'd' },
    quiet: { type: 'boolean', short: 'q' },
  },
});
const [path = '', ...rest] = positionals;
if (values.apply !== '-' || path === '' || rest.length > 0) {
  console.error(`not a call of the original: ${process.argv.slice(2).join(' ')}`);
  process.exit(1);
}
const stream = readFileSync(0);
const before = readFileSync(path);
const result = receiveAsOriginal({ stream, destination: before, kind: 'block' });
writeChanges(result.destination);
if (values.snapback !== undefined) writeFileSync(values.snapback, result.snapback);
process.exitCode = result.status;

/** Nothing else is written: several of them may have one destination. */
function writeChanges(after: Buffer): void {
  const SECTOR = 512;
  const fd = openSync(path, 'r+');
  for (let at = 0; at < after.length; at += SECTOR) {
    const sector = after.subarray(at, at + SECTOR);
    if (!sector.equals(before.subarray(at, at + SECTOR)))
      writeSync(fd, sector, 0, sector.length, at);
  }
  closeSync(fd);
}
