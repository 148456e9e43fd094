import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { VERSION } from '../../../src/base/version.js';

test('the compiled-in version is that of package.json', () => {
  const url = new URL('../../../../package.json', import.meta.url);
  assert.equal(VERSION, JSON.parse(readFileSync(url, 'utf8')).version);
});
