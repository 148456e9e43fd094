// T7: the power of a whole machine is cut while it writes; when it runs again, it undoes the run. The
// disk is a file of the host, what was not flushed to it dies with the memory of the guest.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Campaign, campaignSize } from '../helpers/faults/campaign.js';
import { CLI, canTrace } from '../helpers/program/cli.js';
import { Random } from '../helpers/random.js';
import { scratchFolder } from '../helpers/scratch.js';
import { type GuestResult, runInGuest } from './harness/guest.js';

const random = new Random();
const folder = scratchFolder();

/** Folder, node and lvmsync are its words. Each write of the run takes a while, so that it lasts seconds. */
const RUN = `
  cd "$1"
  truncate -s 100M disk
  loop=$(losetup -f --show disk)
  pvcreate -q "$loop"
  vgcreate -q vg0 "$loop"
  lvcreate -q -y -Wn -L 16M -n data vg0
  lvcreate -q -y -Wn -L 16M -n copy vg0
  lvcreate -q -y -Wn -L 24M -n undo vg0
  mkfs.ext4 -q /dev/vg0/undo
  dd if=/dev/urandom of=/dev/vg0/data bs=1M count=16 conv=fsync status=none
  dd if=/dev/vg0/data of=/dev/vg0/copy bs=1M conv=fsync status=none
  dd if=/dev/vg0/data of=former bs=1M conv=fsync status=none
  lvcreate -q -s -L 20M -c 64k -n snap vg0/data
  for chunk in $(seq 0 2 250); do
    dd if=/dev/urandom of=/dev/vg0/data bs=64k count=1 seek="$chunk" oflag=direct status=none
  done
  mkdir -p "$TMPDIR/undo"
  mount /dev/vg0/undo "$TMPDIR/undo"
  sync
  ( until [ "$(stat -c %s "$TMPDIR/undo/snapback" || echo 0)" -gt 1000000 ]; do sleep 0.05; done
    touch begun ) 2>/dev/null &
  LVMSYNC_IO_ENGINE=threads strace -f -qq -o /dev/null -P /dev/mapper/vg0-copy \\
    -e trace=pwrite64 -e inject=pwrite64:delay_enter=300000 \\
    "$2" "$3" --snapback "$TMPDIR/undo/snapback" /dev/vg0/snap /dev/mapper/vg0-copy
  touch ended`;

/** Folder, node and lvmsync are its words. */
const RECOVER = `
  cd "$1"
  losetup -f disk
  vgchange -q -ay vg0
  mkdir -p "$TMPDIR/undo"
  mount /dev/vg0/undo "$TMPDIR/undo"
  cmp -s former /dev/vg0/copy || echo 'the copy was written'
  if [ -e "$TMPDIR/undo/snapback" ]; then
    "$2" "$3" --apply "$TMPDIR/undo/snapback" /dev/mapper/vg0-copy || echo "the undo ended with $?"
  fi
  cmp former /dev/vg0/copy`;

function boot(script: string, place: string, powerCut?: AbortSignal): Promise<GuestResult> {
  const command = ['bash', '-euc', script, 'bash', place, process.execPath, CLI];
  return runInGuest({ command, ...(powerCut && { powerCut }), timeoutSeconds: 200 });
}

/** Resolves when the run has begun to save and soon will write, or the guest has ended. */
async function untilBegun(place: string, guest: Promise<GuestResult>): Promise<void> {
  let over = false;
  guest.finally(() => {
    over = true;
  });
  while (!over && !existsSync(join(place, 'begun'))) await sleep(20);
}

test('a machine whose power was cut while it wrote can undo the run', {
  skip: canTrace() ? false : 'strace is not permitted here',
}, async (t) => {
  const campaign = new Campaign(t, 'T7 power cut of the whole machine', random.seed);
  const cases = campaignSize({ commit: 1, release: 50 });
  for (let number = 0; number < cases; number++) {
    const place = join(folder, `${number}`);
    mkdirSync(place);
    const power = new AbortController();
    const guest = boot(RUN, place, power.signal);
    await untilBegun(place, guest);
    const delay = 300 + random.below(1500);
    await sleep(delay);
    power.abort();
    const { output } = await guest;
    await campaign.run(`power cut after ${delay} ms`, async () => {
      assert.ok(existsSync(join(place, 'begun')), output);
      assert.ok(!existsSync(join(place, 'ended')), 'the run was cut off');
      const recovered = await boot(RECOVER, place);
      assert.equal(recovered.status, 0, recovered.output);
      t.diagnostic(recovered.output.trim().replaceAll('\n', '; '));
    });
  }
  campaign.finish(cases);
});
