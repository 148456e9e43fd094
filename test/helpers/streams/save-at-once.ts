/** `node save-at-once.js PATH COUNT`: saves COUNT groups to a new snapback without waiting in between. */

import { native } from '../../../src/host/native.js';
import { Snapback } from '../../../src/pipeline/snapback.js';

const [path = '', count = ''] = process.argv.slice(2);
const facts = { deviceSize: 2 ** 30, attributes: {} };
const snapback = await Snapback.create({ path, overwrite: false, facts, sorted: false });
const slab = native.allocateSlab(4096);
const saves = Array.from({ length: Number(count) }, (_, number) =>
  snapback.save(slab, Float64Array.of(number * 8192, 4096, 0)),
);
await Promise.all(saves);
await snapback.finish();
