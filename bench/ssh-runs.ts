/** A sync over one ssh connection beside a bare `cat` of the same bytes over the same ssh. */

import { readFileSync } from 'node:fs';
import type { ChangeList } from './change-lists.js';
import { type Cost, costOf, type Spread, spread } from './cost.js';
import { checkSame, ours, shell, sourceWords, spoil, streamPath } from './local-jobs.js';
import type { Media } from './media.js';
import { builtTool } from './native-tools.js';
import { HOST, type SshLoopback } from './ssh-loopback.js';

export interface SshResult {
  readonly name: string;
  readonly bytes: number;
  /** Bytes a second to those of cat, in the same round. */
  readonly throughput: Spread;
  /** Processor seconds of our two processes to those of ssh and sshd in the same run. */
  readonly cpuShare: Spread;
  readonly catWall: Spread;
  readonly oursWall: Spread;
  /** MiB, of the sending side. */
  readonly peakMiB: number;
}

/** Both send the stream that writeStream left. */
export async function runOverSsh(
  { media, list, ssh }: { media: Media; list: ChangeList; ssh: SshLoopback },
  rounds: number,
): Promise<SshResult> {
  const reports = { client: media.file('client-report'), remote: media.file('remote-report') };
  const measured = builtTool('measured');
  const program = shell([measured, reports.remote, ...ours()]).at(-1) ?? '';
  const remote = ssh.script('lvmsync', `exec ${program} "$@"`);
  const rsh = [measured, reports.client, ...ssh.client].join(' ');
  const cat = shell(['cat', streamPath(media, list)], '|', [...ssh.client, HOST, 'cat >/dev/null']);
  const destination = `${HOST}:${media.destination}`;
  const words = ours(
    ...['--rsh', rsh, '--remote-path', remote, '--compress=none'],
    ...sourceWords(media, list),
    destination,
  );
  const cats: Cost[] = [];
  const runs: (Cost & { readonly share: number })[] = [];
  for (let round = 0; round < rounds; round++) {
    cats.push(costOf(cat));
    spoil(media, list);
    const before = await ssh.serverCpu();
    const cost = costOf(words);
    const [client, receiver] = [cpuIn(reports.client), cpuIn(reports.remote)];
    const server = (await ssh.serverCpu()) - before - receiver;
    runs.push({ ...cost, share: (cost.cpu - client + receiver) / (client + server) });
    checkSame(media, list);
  }
  return {
    name: `over ssh, ${list.shape.name}`,
    bytes: list.bytes,
    throughput: spread(runs.map(({ wall }, round) => (cats[round]?.wall ?? Number.NaN) / wall)),
    cpuShare: spread(runs.map(({ share }) => share)),
    catWall: spread(cats.map(({ wall }) => wall)),
    oursWall: spread(runs.map(({ wall }) => wall)),
    peakMiB: Math.max(...runs.map(({ peakMiB }) => peakMiB)),
  };
}

/** Processor seconds in a report of `measured`. */
function cpuIn(report: string): number {
  const [, user = 0, system = 0] = readFileSync(report, 'utf8').split(' ').map(Number);
  return user + system;
}
