/** A status as a table for a person; each line with a command stands by itself. Pure. */

import { localTime, timeSpan } from '../../base/local-time.js';
import { counted, escapeText } from '../../base/text.js';
import { pulledScope } from '../../cycle/names.js';
import { fullName } from '../../lvm/unfit-volume.js';
import type { CopyStatus } from './copies.js';
import type { CycleStatus } from './cycles.js';
import { ageOf, type Clock, type Problem } from './problem.js';

export interface HostStatus {
  readonly clock: Clock;
  readonly cycles: readonly CycleStatus[];
  readonly copies: readonly CopyStatus[];
  /** Of neither. */
  readonly problems: readonly Problem[];
  /** What could not be looked at, and why. */
  readonly failures: readonly Problem[];
  /** What was not looked at, though that is no trouble. */
  readonly notes: readonly string[];
}

/** `thrown`: the failure that the run ends with, which says so itself. */
export function formatStatus(status: HostStatus, thrown?: Problem): string {
  const { clock, cycles, copies, problems } = status;
  const failures = status.failures.filter((one) => one !== thrown);
  const parts = [
    cycles.length === 0 ? '' : table(CYCLE_HEAD, cycles, (one) => cycleRow(one, clock)),
    copies.length === 0 ? '' : table(COPY_HEAD, copies, (one) => copyRow(one, clock)),
    problemLines([...problems, ...failures], ''),
    `${summary(status)}\n`,
  ];
  return parts.filter((part) => part !== '').join('\n');
}

interface Row {
  readonly cells: readonly [name: string, time: string, age: string, amount: string, state: string];
  readonly details: readonly string[];
  readonly problems: readonly Problem[];
}

const CYCLE_HEAD: Row['cells'] = ['CYCLE OF', 'LAST SNAPSHOT', 'AGE', 'FULL', 'STATE'];
const COPY_HEAD: Row['cells'] = ['COPY', 'RESTORE POINT', 'AGE', 'POINTS', 'STATE'];

/** So that a row has at most 80 columns. */
const WIDEST_NAME = 22;

function table<T>(head: Row['cells'], all: readonly T[], rowOf: (one: T) => Row): string {
  const rows = all.map(rowOf);
  const cells = [head, ...rows.map((row) => row.cells)];
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  widths[0] = Math.min(widths[0] ?? 0, WIDEST_NAME);
  const lines = rows.map(
    (row) =>
      line(row.cells, widths) +
      row.details.map((detail) => `  ${escapeText(detail)}\n`).join('') +
      problemLines(row.problems, '  '),
  );
  return line(head, widths) + lines.join('');
}

/** A long name has a line of its own. */
function line([name, ...others]: Row['cells'], [width = 0, ...widths]: readonly number[]): string {
  const shown = escapeText(name);
  const first = shown.length > width ? `${shown}\n${' '.repeat(width)}` : shown.padEnd(width);
  const rest = others.map((cell, column) => {
    return column === AMOUNT
      ? cell.padStart(widths[column] ?? 0)
      : cell.padEnd(widths[column] ?? 0);
  });
  return `${[first, ...rest].join('  ').trimEnd()}\n`;
}

/** Its column, after the name. */
const AMOUNT = 2;

function problemLines(problems: readonly Problem[], margin: string): string {
  return problems
    .map(({ what, remedy }) => {
      const step = remedy === undefined ? '' : `${margin}  ${escapeText(remedy)}\n`;
      return `${margin}! ${escapeText(what)}\n${step}`;
    })
    .join('');
}

function unknownPlace(tag: string): string {
  const isFetched = tag.startsWith(pulledScope(''));
  return isFetched
    ? 'fetched by the host of its copy'
    : `to a destination known only by its tag, ${tag}`;
}

function cycleRow(cycle: CycleStatus, clock: Clock): Row {
  const { origin, tag, place, fills, time, snapshots, problems } = cycle;
  const fullest = Math.max(...fills.map(({ percent }) => percent));
  const full = fills.length === 0 ? '?' : `${fullest.toFixed(1)}%`;
  const to =
    place === undefined
      ? [unknownPlace(tag)]
      : [`to ${place.destination}`, `restore points there in ${place.directory}`];
  const pools = fills.filter(({ what }) => what !== 'COW store');
  const details = [
    ...to,
    ...snapshots.map(({ volume, state }) => {
      const own = fills.find(({ name }) => name === fullName(volume));
      return `snapshot ${fullName(volume)}, ${state}${own ? `, ${own.percent.toFixed(1)}% full` : ''}`;
    }),
    ...(pools.length === 0
      ? []
      : [
          `pool ${pools[0]?.name}: ${pools.map(({ what, percent }) => `${what} ${percent.toFixed(1)}%`).join(', ')} full`,
        ]),
  ];
  const cells = [fullName(origin), ...timeCells(time, clock), full, stateOf(cycle)] as const;
  return { cells, details, problems };
}

function copyRow(copy: CopyStatus, clock: Clock): Row {
  const { path, chain, record, points, inDoubt, problems } = copy;
  const oldest = points.at(-1);
  const back = points.length < 2 || !oldest ? '' : `, back to ${localTime(oldest.time)}`;
  const time = timeCells(record?.point?.time, clock);
  const cells = [path, ...time, String(points.length), stateOf(copy)] as const;
  const some = inDoubt === 0 ? '' : `; ${inDoubt} in doubt, see "lvmsync chain"`;
  return { cells, details: [`restore points in ${chain}${back}${some}`], problems };
}

function timeCells(time: string | undefined, clock: Clock): [time: string, age: string] {
  if (time === undefined) return ['none', ''];
  return [localTime(time), timeSpan(Math.max(0, ageOf(time, clock)))];
}

function stateOf({ isRunning, problems }: CycleStatus | CopyStatus): string {
  if (problems.length > 0) return 'ATTENTION';
  return isRunning ? 'running' : 'ok';
}

function summary(status: HostStatus): string {
  const { cycles, copies, problems, failures } = status;
  const known = knownWords(status);
  const isBad = (one: CycleStatus | CopyStatus): boolean => one.problems.length > 0;
  const bad = [...cycles, ...copies].filter(isBad).length + problems.length;
  const unseen = failures.length === 0 ? '' : ' Not everything could be looked at.';
  if (bad > 0) return `${known}: ${bad === 1 ? '1 needs' : `${bad} need`} attention.${unseen}`;
  if (failures.length > 0) return `${known}.${unseen}`;
  return cycles.length + copies.length === 0 ? `${known}.` : `${known}: all is well.`;
}

function knownWords({ cycles, copies, failures, notes }: HostStatus): string {
  const note = notes.length === 0 ? '' : ` (${escapeText(notes.join('; '))})`;
  const many = copies.length === 1 ? '1 copy' : `${copies.length} copies`;
  // Those that nobody looked for are not counted.
  const counts = notes.length === 0 ? [counted(cycles.length, 'cycle'), many] : [many];
  if (cycles.length + copies.length > 0) return counts.join(', ') + note;
  if (failures.length > 0) return 'No cycle or copy was found';
  return `No ${notes.length === 0 ? 'cycle or copy' : 'copy'} is known here${note}`;
}
