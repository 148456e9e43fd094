/** Volumes that cannot be the source of a run, as tables of tests. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findSnapshot } from '../../../src/lvm/find-volume.js';
import { type Host, missing, refusal, runOn } from './lvm-host.js';

export type FindRefusal = readonly [
  what: string,
  host: Host,
  subject: string,
  message: RegExp,
  hint?: RegExp,
];

/** Each is a source that is unfit: exit code 10. */
export function testFindRefusals(refusals: readonly FindRefusal[]): void {
  for (const [what, host, subject, message, hint] of refusals) {
    test(what, async () => {
      const error = await refusal(findSnapshot(subject, runOn(host), missing));
      assert.match(error.message, message);
      assert.equal(error.exitStatus, 10);
      if (hint !== undefined) assert.match(error.hint ?? '', hint);
    });
  }
}
