// The harness itself, on the host: what it passes on, and how it tells one failure from another.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { GUEST_STATUS, repository, runInGuest } from './harness/guest.js';

test("the guest runs a command as root and passes on what it prints, and the command's status", async () => {
  const { status, output } = await runInGuest({
    command: ['bash', '-c', 'id -u; echo "$WORD"; echo to stderr >&2; exit 5'],
    env: { WORD: "with ' a quote and  two blanks" },
  });
  assert.equal(status, 5);
  assert.match(output, /^0\nwith ' a quote and {2}two blanks\nto stderr\n/);
});

test('a guest whose time runs out is killed', async () => {
  const { status, output } = await runInGuest({ command: ['sleep', '100'], timeoutSeconds: 4 });
  assert.equal(status, GUEST_STATUS.timedOut, output);
});

test('a guest kernel that panics is told apart from a failing command, with its last words', async () => {
  const { status, output } = await runInGuest({
    command: ['bash', '-c', 'echo c > /proc/sysrq-trigger'],
  });
  assert.equal(status, GUEST_STATUS.stoppedEarly);
  assert.match(output, /Kernel panic - not syncing: sysrq triggered crash/);
});

test('a guest kernel that cannot boot is told apart from a failing command', async () => {
  const { status, output } = await runInGuest({ command: ['true'], memory: '1M' });
  assert.equal(status, GUEST_STATUS.couldNotBoot, output);
});

test('an ordinary user gets a guest with real LVM too', async (t) => {
  const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
  const runAs = process.getuid?.() === 0 ? asNobody : [];
  const [program = 'true', ...words] = [
    ...runAs,
    'test',
    '-x',
    `${repository}test/system/harness/guest-run`,
  ];
  if (spawnSync(program, words).status !== 0) {
    t.skip('this checkout is in a folder that the user nobody may not enter');
    return;
  }
  const { status, output } = await runInGuest({
    command: ['bash', '-ec', THICK_SNAPSHOT],
    runAs,
  });
  assert.equal(status, 0, output);
  assert.match(output, /^host user: (?!0$)\d+$/m);
  assert.match(output, /snapshot 96\/65536 16/, 'ten exceptions of 4 KiB chunks, one area');
});

/** Ten chunks of an origin change after its snapshot was made. */
const THICK_SNAPSHOT = `
  cd "$TMPDIR"
  mkdir "/var/tmp/lvmsync-owner.$$"
  stat -c 'host user: %u' "/var/tmp/lvmsync-owner.$$"
  rmdir "/var/tmp/lvmsync-owner.$$"
  truncate -s 256M pv
  loop=$(losetup -f --show pv)
  pvcreate -q "$loop"
  vgcreate -q vg0 "$loop"
  lvcreate -q -y -Wn -L64M -n data vg0
  lvcreate -q -s -L32M -c4k -n snap vg0/data
  dd if=/dev/urandom of=/dev/vg0/data bs=4k count=10 seek=1000 oflag=direct status=none
  dmsetup status vg0-snap`;
