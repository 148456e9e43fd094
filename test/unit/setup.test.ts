/** scripts/setup refuses a Node with which the tools that build would fail. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { runTool } from '../helpers/program/cli.js';

const SETUP = new URL('../../../scripts/setup', import.meta.url).pathname;
const LOCK = new URL('../../../package-lock.json', import.meta.url);

/** What a line of scripts/setup or one of its functions comes to. */
function inSetup(words: string): { readonly status: number | null; readonly said: string } {
  const parts = `source <(sed -n "/^build_engines=/p; /^can_build()/,/^}/p" '${SETUP}')`;
  const { status, stdout } = runTool(['bash', '-c', `${parts}; ${words}`]);
  return { status, said: stdout.toString() };
}

test('it knows what the tools that build need', () => {
  const { packages } = JSON.parse(readFileSync(LOCK, 'utf8'));
  for (const name of ['node-gyp', 'cmake-js']) {
    const { node } = packages[`node_modules/${name}`].engines;
    assert.equal(inSetup('printf %s "$build_engines"').said, node, name);
  }
});

for (const [version, can] of [
  ['18.20.4', false],
  ['20.16.0', false],
  ['20.17.0', true],
  ['20.20.2', true],
  ['21.7.3', false],
  ['22.8.0', false],
  ['22.9.0', true],
  ['24.0.0', true],
] as const) {
  test(`it ${can ? 'takes' : 'refuses'} Node.js ${version}`, () => {
    assert.equal(inSetup(`can_build ${version}`).status === 0, can);
  });
}
