import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';

const ROOT = new URL('../../../../', import.meta.url);

/** Files of tests as the two documents name them: `contract/bad-input`, `scenarios/thin`, `native/batch_test`. */
const NAMED = /`((?:unit|contract|golden|faults|packages|scenarios|system|native)\/[\w/-]+)`/g;

function fileOf(name: string): string {
  const [folder = '', ...rest] = name.split('/');
  const place = rest.join('/');
  if (folder === 'native') return `native/test/${place}.cc`;
  if (folder === 'scenarios') return `test/system/scenarios/${place}.test.ts`;
  return `test/${folder}/${place}.test.ts`;
}

for (const document of ['docs/reliability.md', 'SECURITY.md']) {
  describe(document, () => {
    const text = readFileSync(new URL(document, ROOT), 'utf8');

    test('names only tests that exist', () => {
      const names = new Set([...text.matchAll(NAMED)].map(([, name = '']) => name));
      assert.ok(names.size > 20);
      const missing = [...names].filter((name) => !existsSync(new URL(fileOf(name), ROOT)));
      assert.deepEqual(missing, []);
    });

    test('has tables whose rows have as many cells as their heads', () => {
      let columns = 0;
      for (const line of text.split('\n')) {
        if (!line.startsWith('|')) columns = 0;
        if (columns === 0 && !line.startsWith('|')) continue;
        const cells = line.split('|').length - 2;
        if (columns === 0) columns = cells;
        assert.equal(cells, columns, line);
      }
    });
  });
}
