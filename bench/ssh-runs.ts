/**
 * A sync over one ssh connection beside a bare `cat` of the same bytes over the same ssh, which reads a
 * file and writes nothing, and beside two `dd`, which do what a sync has to: read one device and write
 * another.
 */

import { readFileSync } from 'node:fs';
import type { ChangeList } from './change-lists.js';
import { type Cost, costOf, type Spread, spread } from './cost.js';
import { checkSame, ours, shell, sourceWords, spoil, streamPath } from './local-jobs.js';
import type { Media } from './media.js';
import { builtTool } from './native-tools.js';
import { lineThrough } from './rounds.js';
import { HOST, type SshLoopback } from './ssh-loopback.js';

export interface SshResult {
  readonly name: string;
  readonly bytes: number;
  /** Bytes a second to those of cat, in the same round. */
  readonly throughput: Spread;
  /** The same to those of dd. */
  readonly toDd: Spread;
  /** Processor seconds of our two processes to those of ssh and sshd in the same run. */
  readonly cpuShare: Spread;
  readonly catWall: Spread;
  readonly ddWall: Spread;
  readonly oursWall: Spread;
  readonly catMachine: Spread;
  readonly ddMachine: Spread;
  readonly oursMachine: Spread;
  readonly oursCpu: Spread;
  /** Of ssh and sshd in the runs of ours. */
  readonly sshCpu: Spread;
  /** MiB, of the sending side. */
  readonly peakMiB: number;
}

export type SshPair = readonly [small: SshResult, large: SshResult];

const MIB = 2 ** 20;

interface SshSetting {
  readonly media: Media;
  readonly ssh: SshLoopback;
}

/** What one round costs, in this order. */
interface Round {
  readonly cat: Cost;
  readonly dd: Cost;
  readonly ours: Cost;
  readonly oursCpu: number;
  readonly sshCpu: number;
}

/** All send the streams that writeStream left. */
export async function runOverSsh(
  setting: SshSetting,
  [small, large]: readonly [ChangeList, ChangeList],
  rounds: number,
): Promise<SshPair> {
  const costs: readonly [Round[], Round[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    costs[0].push(await runRound(setting, small));
    costs[1].push(await runRound(setting, large));
  }
  return [summarise(small, costs[0]), summarise(large, costs[1])];
}

async function runRound({ media, ssh }: SshSetting, list: ChangeList): Promise<Round> {
  const reports = { client: media.file('client-report'), remote: media.file('remote-report') };
  const measured = builtTool('measured');
  const program = shell([measured, reports.remote, ...ours()]).at(-1) ?? '';
  const remote = ssh.script('lvmsync', `exec ${program} "$@"`);
  const rsh = [measured, reports.client, ...ssh.client].join(' ');
  const words = ours(
    ...['--rsh', rsh, '--remote-path', remote, '--compress=none'],
    ...sourceWords(media, list),
    `${HOST}:${media.destination}`,
  );
  const stream = ['cat', streamPath(media, list)];
  const cat = costOf(shell(stream, '|', [...ssh.client, HOST, 'cat >/dev/null']));
  const dd = costOf(ddWords({ media, ssh }, list.bytes));
  spoil(media, list);
  const before = await ssh.serverCpu();
  const cost = costOf(words);
  const [client, receiver] = [cpuIn(reports.client), cpuIn(reports.remote)];
  const server = (await ssh.serverCpu()) - before - receiver;
  checkSame(media, list);
  return { cat, dd, ours: cost, oursCpu: cost.cpu - client + receiver, sshCpu: client + server };
}

/** As many bytes as a list has, from one device to the other, past the page cache. */
function ddWords({ media, ssh }: SshSetting, bytes: number): string[] {
  const count = `count=${bytes / MIB}`;
  const read = ['dd', `if=${media.source}`, 'iflag=direct', 'bs=1M', count, 'status=none'];
  const write = `dd iflag=fullblock oflag=direct bs=1M conv=notrunc,fsync status=none of=${media.destination}`;
  return shell(read, '|', [...ssh.client, HOST, write]);
}

function summarise({ shape, bytes }: ChangeList, rounds: readonly Round[]): SshResult {
  return {
    name: `over ssh, ${shape.name}`,
    bytes,
    throughput: spread(rounds.map(({ cat, ours: own }) => cat.wall / own.wall)),
    cpuShare: spread(rounds.map(({ oursCpu, sshCpu }) => oursCpu / sshCpu)),
    toDd: spread(rounds.map(({ dd, ours: own }) => dd.wall / own.wall)),
    catWall: spread(rounds.map(({ cat }) => cat.wall)),
    ddWall: spread(rounds.map(({ dd }) => dd.wall)),
    oursWall: spread(rounds.map(({ ours: own }) => own.wall)),
    catMachine: spread(rounds.map(({ cat }) => cat.machineCpu)),
    ddMachine: spread(rounds.map(({ dd }) => dd.machineCpu)),
    oursMachine: spread(rounds.map(({ ours: own }) => own.machineCpu)),
    oursCpu: spread(rounds.map(({ oursCpu }) => oursCpu)),
    sshCpu: spread(rounds.map(({ sshCpu }) => sshCpu)),
    peakMiB: Math.max(...rounds.map(({ ours: own }) => own.peakMiB)),
  };
}

type SshCost = 'catWall' | 'oursWall' | 'oursCpu' | 'sshCpu';

/** The one cost to the other for so many bytes, by the lines through the medians. */
export function sshRatioAt(
  [small, large]: SshPair,
  [one, other]: readonly [SshCost, SshCost],
  bytes: number,
): number {
  const at = (cost: SshCost): number => {
    const point = (result: SshResult) => ({ bytes: result.bytes, cost: result[cost].median });
    return lineThrough(point(small), point(large)).at(bytes);
  };
  return at(one) / at(other);
}

/** Processor seconds in a report of `measured`. */
function cpuIn(report: string): number {
  const [, user = 0, system = 0] = readFileSync(report, 'utf8').split(' ').map(Number);
  return user + system;
}
