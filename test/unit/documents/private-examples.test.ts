/** The examples of the guides that put the content of disks into files. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const guides = ['README.md', ...readdirSync(`${root}docs`).map((name) => `docs/${name}`)];

test('F44: a stream goes to a file only under umask 077, and it is said why', () => {
  let found = 0;
  for (const guide of guides.filter((name) => name.endsWith('.md'))) {
    const text = readFileSync(root + guide, 'utf8');
    for (const [, block = ''] of text.matchAll(/^```sh\n(.*?)^```/gms)) {
      const at = block.search(/^lvmsync .*--stdout .*> ?\S+$/m);
      if (at < 0) continue;
      found++;
      assert.match(block.slice(0, at), /^# .*(content|disk).*\numask 077$/m, `${guide}:\n${block}`);
    }
  }
  assert.ok(found >= 1, `${found} examples`);
});
