/** Programs run where there is nothing of this machine but its kernel. */

import { spawnSync } from 'node:child_process';
import type { CliResult } from '../program/cli.js';
import { runTool } from '../program/cli.js';

/** The mounts are the command's own: they go when it ends. */
const ENTER = `
  root=$1; shift
  mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/tmp"
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  mount --rbind /dev "$root/dev"
  exec env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" "$@"`;
const NAMESPACE = ['unshare', '--mount', '--propagation', 'private'];

/** The words that run a command below `root` as if that were all. */
export function enterRoot(root: string): string[] {
  return [...NAMESPACE, 'sh', '-euc', ENTER, 'sh', root];
}

export function runInRoot(root: string, ...argv: string[]): CliResult {
  return runTool([...enterRoot(root), ...argv]);
}

/** For `skip`: false, or why nothing can be run in another root here. */
export function noOtherRoot(): string | false {
  const { status, error } = spawnSync('unshare', [
    ...NAMESPACE.slice(1),
    'mount',
    '-t',
    'tmpfs',
    'none',
    '/mnt',
  ]);
  return error === undefined && status === 0 ? false : 'mounts of its own are not permitted here';
}
