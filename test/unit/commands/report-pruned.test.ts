import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pruneChain } from '../../../src/commands/report-pruned.js';
import { Reporter } from '../../../src/run/reporter.js';

async function told(...files: string[]): Promise<string> {
  let said = '';
  const write = (text: string): void => {
    said += text;
  };
  const reporter = new Reporter({ verbosity: 'normal', write, isTTY: false });
  const leftover = { files, folders: [], bytes: 1 };
  const turn = { prune: async () => ({ removed: 0, ahead: undefined, leftover }) };
  await pruneChain(turn, reporter);
  return said;
}

test('one file that no restore point needs is spoken of as one', async () => {
  assert.match(
    await told('a'),
    /^1 file .* needs it\. "lvmsync chain" lists it, --keep removes it$/m,
  );
  assert.match(
    await told('a', 'b'),
    /^2 files .* needs them\. .* lists them, --keep removes them$/m,
  );
});
