import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { measureHash, measureLz4 } from '../../../../src/commands/bench/processor.js';
import { Random } from '../../../helpers/random.js';

const MIB = 1024 * 1024;

describe('what bench measures of the processor', () => {
  test('is how far real data shrink', async () => {
    const random = new Random().bytes(MIB);
    const text = Buffer.alloc(MIB, 'lvmsync ');
    const plain = await measureLz4([text, text]);
    assert.ok((plain.ratio ?? 0) > 20 && plain.bytesPerSecond > 0);
    const half = (await measureLz4([text, random])).ratio ?? 0;
    assert.ok(half > 1.5 && half < 3, `${half}`);
    const none = (await measureLz4([random])).ratio ?? 0;
    assert.ok(none > 0.98 && none <= 1, `${none}`);
  });

  test('is how fast a stream is made', async () => {
    const { what, bytesPerSecond } = await measureHash();
    assert.equal(what, 'hash');
    assert.ok(bytesPerSecond > 0 && Number.isFinite(bytesPerSecond));
  });
});
