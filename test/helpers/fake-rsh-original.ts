/**
 * The original lvmsync as a program: `--apply - [--snapback FILE] [-v] [-d] [-q] DESTINATION`, with
 * regular files. Like it, it reads everything, prints nothing for good input, and trusts its input.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { receiveAsOriginal } from './original-receiver.js';

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
const result = receiveAsOriginal({
  stream: readFileSync(0),
  destination: readFileSync(path),
  kind: 'block',
});
writeFileSync(path, result.destination);
if (values.snapback !== undefined) writeFileSync(values.snapback, result.snapback);
process.exitCode = result.status;
