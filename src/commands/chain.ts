/** `lvmsync chain DIR [DESTINATION]`: what a chain can go back to. Nothing is changed. */

import { existsSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { EXIT, LvmsyncError } from '../base/errors.js';
import { formatObject } from '../base/json-object.js';
import { localTime } from '../base/local-time.js';
import { typedPath } from '../base/shell-words.js';
import { counted, escapeText, humanSize } from '../base/text.js';
import type { LeftoverFiles } from '../chain/leftover.js';
import type { Link } from '../chain/link.js';
import {
  completing,
  describeInexact,
  type Exactness,
  exactnessOf,
  pointsOf,
} from '../chain/order.js';
import type { ChainRecord, Point } from '../chain/record.js';
import type { ChainCommand } from '../cli/command.js';
import type { RunContext } from '../run/context.js';
import {
  CHECK_NAME,
  howFarBack,
  type Mismatch,
  type Survey,
  surveyChain,
  whatItHolds,
} from './chain-survey.js';

/** Status 12 where there is no chain, or for another destination than its own, 15 for a chain with a gap, also in what was undone. */
export async function runChain(command: ChainCommand, context: RunContext): Promise<number> {
  const survey = await surveyChain(command);
  const { record, mismatch, order, redoGap } = survey;
  if (command.json) {
    context.print(formatObject(asJson(survey)));
    if (record === undefined || mismatch !== undefined) return EXIT.destinationUnfit;
  } else {
    if (record === undefined) throw noChain(command.directory);
    context.print(describe({ ...survey, record }));
    if (mismatch !== undefined) throw refused(mismatch, command.destination);
  }
  return (order.gap ?? redoGap) === undefined ? EXIT.done : EXIT.streamCorrupt;
}

function noChain(directory: string): LvmsyncError {
  const what = existsSync(directory) ? 'it does not hold a chain' : 'no such directory';
  const typed = typedPath(resolve(directory), undefined);
  return new LvmsyncError('destinationUnfit', `${directory}: ${what}`, {
    hint: `Check the name. The first cycle run, on the host of VOLUME, creates one: "lvmsync cycle --init VOLUME DESTINATION --snapback ${typed}" (with --size for a thick VOLUME).`,
  });
}

function refused({ why, remedy }: Mismatch, destination = ''): LvmsyncError {
  const isNamed = why.startsWith(`${destination}: `);
  return new LvmsyncError('destinationUnfit', isNamed ? why : `${destination}: ${why}`, {
    hint: remedy ?? CHECK_NAME,
  });
}

/** Points with what a rollback to them would write: what is under way, then turn by turn. */
interface Reachable extends Point {
  /** Turns back from the present point. */
  readonly steps: number;
  /** Bytes of the files that it would read. */
  readonly undoBytes: number;
  readonly exactness: Exactness;
}

function reachable({ record, order }: Survey): readonly Reachable[] {
  if (record === undefined || record.point === null) return [];
  let undoBytes = sizeOf(order.attempts);
  const exactness = exactnessOf(order, record.inexact);
  return pointsOf(record.point, order).map((point, steps) => {
    undoBytes += sizeOf(order.turns[steps - 1]?.links ?? []);
    return { ...point, steps, undoBytes, exactness: exactness[steps] };
  });
}

function sizeOf(links: readonly Link[]): number {
  return links.reduce((sum, { fileSize }) => sum + fileSize, 0);
}

/** docs/chain.md says what the names mean. */
function asJson(survey: Survey): Record<string, unknown> {
  const { directory, record, order, others, mismatch, redoGap, leftover } = survey;
  return {
    path: resolve(directory),
    exists: record !== undefined,
    destination: record?.destination ?? null,
    point: record?.point ?? null,
    incomplete: (record?.doing ?? null) !== null,
    doing: record?.doing ?? null,
    undone: record?.undone ?? null,
    points: reachable(survey).map(({ exactness, ...rest }) => ({
      ...rest,
      exact: exactness?.exact ?? 'yes',
    })),
    links: [
      ...order.attempts.map((link) => linkJson(link, true)),
      ...order.turns.flatMap((turn) => {
        const complete = completing(turn);
        return turn.links.map((link) => linkJson(link, !complete.includes(link)));
      }),
    ],
    unused: [...order.unused.map(({ name }) => name), ...others],
    gap: order.gap ?? null,
    redoGap: redoGap ?? null,
    leftover: leftover.files.map((path) => relative(directory, path)),
    mismatch: mismatch?.why ?? null,
    remedy: mismatch?.remedy ?? null,
    written: mismatch?.written === true,
  };
}

function linkJson(
  { name, streamId, previous, from, to, fileSize }: Link,
  attempt: boolean,
): Record<string, unknown> {
  return { name, streamId, previous: previous ?? null, from, to, fileSize, attempt };
}

/** Text of others in it is made harmless. */
function describe(survey: Survey & { readonly record: ChainRecord }): string {
  const { directory, record, order, redoGap, leftover } = survey;
  const { path, identity, size } = record.destination;
  const rows: [string, string][] = [
    ['of', `${path}${identity === null ? '' : ` (${identity})`}, ${humanSize(size)}`],
    ['holds', whatItHolds(record)],
  ];
  if (redoGap !== undefined) rows.push(['but', `that rollback cannot be undone: ${redoGap}`]);
  if (record.point !== null) rows.push(['reaches', howFarBack(order)]);
  if (leftover.files.length > 0) rows.push(['useless', describeLeftover(leftover)]);
  const useless = new Set(leftover.files);
  const others = order.unused.filter((link) => !useless.has(link.path)).map(({ name }) => name);
  const unused = [...others, ...survey.others];
  if (unused.length > 0) rows.push(['unused', unused.join(', ')]);
  const lines = rows.map(([label, text]) => `  ${label.padEnd(8)}${escapeText(text)}\n`);
  return `${escapeText(directory)}\n${lines.join('')}${tableOf(survey)}`;
}

function describeLeftover({ files, folders, bytes }: LeftoverFiles): string {
  const typed = (paths: readonly string[]): string =>
    paths.map((path) => typedPath(path, undefined)).join(' ');
  const rmdir = folders.length === 0 ? '' : `; rmdir ${typed(folders)}`;
  const what = `${counted(files.length, 'file')} (${humanSize(bytes)}) that no restore point needs`;
  const them = files.length === 1 ? 'it' : 'them';
  return `${what}: the next cycle run with --keep removes ${them}, or: rm ${typed(files)}${rmdir}`;
}

function tableOf(survey: Survey): string {
  const points = reachable(survey);
  const rows = points.map(({ steps, time, undoBytes, exactness }) => {
    const mark = MARKS[exactness?.exact ?? 'yes'];
    const cells = [String(steps).padStart(5) + mark, localTime(time).padEnd(25)];
    return `  ${cells.join(' ')}  ${humanSize(undoBytes).padStart(10)}\n`;
  });
  if (rows.length === 0) return '';
  return `  steps  point${' '.repeat(24)}undo data\n${rows.join('')}${legendOf(points)}`;
}

const MARKS = { yes: ' ', unknown: '?', no: '!' } as const;

function legendOf(points: readonly Reachable[]): string {
  const lines = points.map(({ exactness }) => {
    if (exactness === undefined) return '';
    return `      ${MARKS[exactness.exact]}  ${describeInexact(exactness)}\n`;
  });
  return [...new Set(lines)].join('');
}
