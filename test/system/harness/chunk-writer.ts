// chunk-writer DEVICE CHUNKS CHUNK-SIZE JOURNAL
//
// Inside the guest: writes chunks of a device in random order until each was written, or it is killed.
// JOURNAL takes a line "begin N" before the write of chunk N, and "end N" when it is on the device.

import { randomFillSync, randomInt } from 'node:crypto';
import { constants, openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const [device = '', chunkCount = '', chunkBytes = '', journalPath = ''] = process.argv.slice(2);
const chunkSize = Number(chunkBytes);
const order = Array.from({ length: Number(chunkCount) }, (_, chunk) => chunk);
const target = openSync(device, constants.O_WRONLY | constants.O_DSYNC);
const journal = openSync(journalPath, 'w');
const content = Buffer.alloc(chunkSize);

while (order.length > 0) {
  const at = randomInt(order.length);
  const chunk = order[at] ?? 0;
  order[at] = order.at(-1) ?? 0;
  order.pop();
  writeSync(journal, `begin ${chunk}\n`);
  writeSync(target, randomFillSync(content), 0, chunkSize, chunk * chunkSize);
  writeSync(journal, `end ${chunk}\n`);
  // The one CPU of the guest is the reader's, too; now and then they come fast.
  if (randomInt(4) > 0) await sleep(1);
}
