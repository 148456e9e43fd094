/** `lvmsync inspect FILE...`: what files of changes hold, and whether they are whole. */

import { dirname } from 'node:path';
import { EXIT, LvmsyncError } from '../base/errors.js';
import { formatObject } from '../base/json-object.js';
import { localTime } from '../base/local-time.js';
import { counted, escapeText, humanSize } from '../base/text.js';
import { type Neighbours, neighboursIn, streamIdOf } from '../chain/neighbours.js';
import type { InspectCommand } from '../cli/command.js';
import { identifyPath } from '../device/topology.js';
import type { RunContext } from '../run/context.js';
import { interrupted } from '../run/interruption.js';
import { HANDSHAKE } from '../stream/change-writer.js';
import type { Hello } from '../stream/control-frame.js';
import { type Inspection, inspectFile } from '../stream/inspection.js';
import { lostEnd } from '../stream/lost-end.js';
import { refuseOutputTo } from './own-output.js';

/** The status is that of the first file that cannot be opened or applied. */
export async function runInspect(command: InspectCommand, context: RunContext): Promise<number> {
  for (const path of command.files) refuseOutputTo(path, identifyPath(path));
  const beside = new Map<string, Neighbours>();
  const statuses: number[] = [];
  for (const path of command.files) {
    const folder = dirname(path);
    const neighbours = beside.get(folder) ?? (await neighboursIn(folder));
    beside.set(folder, neighbours);
    const fault = await inspect(path, neighbours, command.json, context);
    if (fault !== undefined) statuses.push(fault.exitStatus);
  }
  return statuses[0] ?? EXIT.done;
}

/** Prints what it holds, and says why it cannot be applied; of a file that cannot be opened only that. */
async function inspect(
  path: string,
  { countedBy, finished }: Neighbours,
  json: boolean,
  { signal, print, reporter }: RunContext,
): Promise<LvmsyncError | undefined> {
  try {
    const inspection = judge(await inspectFile(path, signal, { countedBy }), finished);
    if (!signal.aborted) {
      print(json ? formatObject(asJson(inspection)) : describe(inspection));
      return inspection.fault;
    }
  } catch (error) {
    if (!signal.aborted) {
      if (!(error instanceof LvmsyncError)) throw error;
      reporter.fatal(error);
      return error;
    }
  }
  throw interrupted(signal);
}

/** A link that is not torn, but was cut after its run: the chain knows that. */
function judge(inspection: Inspection, finished: ReadonlySet<string>): Inspection {
  const { tornTail, hello } = inspection;
  if (tornTail === undefined || !hello || !finished.has(streamIdOf(hello))) return inspection;
  return { ...inspection, tornTail: undefined, fault: lostEnd(tornTail) };
}

const LABEL_WIDTH = 10;

/** Text of others in it is made harmless. */
export function describe(inspection: Inspection): string {
  const rows = [
    ['is', whatItIs(inspection)],
    ['state', stateOf(inspection)],
    ...aboutTheDevice(inspection),
    ['holds', contentOf(inspection)],
    ...whereItLies(inspection),
  ] as const;
  const lines = rows.map(([label, text]) => `  ${label.padEnd(LABEL_WIDTH)}${text}\n`);
  return `${escapeText(inspection.path)}\n${lines.join('')}`;
}

const KINDS = {
  file: 'a change stream',
  wire: 'a change stream for a receiver',
  snapback: 'a snapback',
} as const;

function whatItIs({ form, hello, compressed, fileSize }: Inspection): string {
  const kind = hello === undefined ? 'a change stream in the classic form' : KINDS[hello.kind];
  const packed = compressed ? ', compressed with LZ4' : '';
  const size = `, ${humanSize(fileSize)}`;
  return form === undefined
    ? `not a change stream: it does not begin with "${HANDSHAKE}"${size}`
    : kind + packed + size;
}

function stateOf({ fault, hello, tornTail, sourceChanged }: Inspection): string {
  if (fault !== undefined) return `cannot be applied completely: ${escapeText(fault.message)}`;
  if (tornTail !== undefined)
    return 'it has no end mark: its run was interrupted, and it undoes what that run wrote, or the file has lost its end';
  if (hello === undefined) return 'no error found; the classic form allows no closer check';
  const source = sourceChanged
    ? '; its source was written during the run, so the data may be inconsistent'
    : '';
  return `complete, all hashes match${source}`;
}

function aboutTheDevice({ hello }: Inspection): [string, string][] {
  if (hello === undefined) return [];
  const { devicePath, deviceIdentity, createdAt, program } = hello.attributes;
  const { fromPoint, fromTime, toPoint, toTime } = hello.attributes;
  const id = deviceIdentity === undefined ? '' : ` (${deviceIdentity})`;
  const rows: [string, string | undefined][] = [
    [
      'made',
      [createdAt && localTime(createdAt), program && `by ${program}`].filter(Boolean).join(' '),
    ],
    ['device', `${devicePath ?? 'unnamed'}${id}, ${humanSize(hello.deviceSize)}`],
    ['from', [fromPoint, fromTime && localTime(fromTime)].filter(Boolean).join(', ')],
    ['to', [toPoint, toTime && localTime(toTime)].filter(Boolean).join(', ')],
    ['needs', whatItNeeds(hello)],
  ];
  if (hello.streamCount > 1) {
    rows.push(['stream', `${hello.streamIndex} of ${hello.streamCount}`]);
  }
  return rows.flatMap(([label, text]) => (text ? [[label, escapeText(text)]] : []));
}

/** To undo what it belongs to, besides itself. */
function whatItNeeds({ attributes: { countedLink, countedBytes } }: Hello): string | undefined {
  if (countedLink === undefined) return undefined;
  return `snapback ${countedLink} (its first ${countedBytes} bytes), applied after it`;
}

function contentOf(inspection: Inspection): string {
  const { bytes, records, stretches, largestStretch, discardedBytes } = inspection;
  const zeros = discardedBytes === 0 ? '' : `, and ${humanSize(discardedBytes)} to read as zeros`;
  if (bytes === 0) return `no data${zeros}`;
  const regions = stretches === 1 ? '1 stretch' : `${stretches} stretches, the largest`;
  const pieces = `${counted(records, 'record')}, ${regions} of ${humanSize(largestStretch)}`;
  return `${humanSize(bytes)} in ${pieces}${zeros}`;
}

function whereItLies({ firstByte, lastByte, map }: Inspection): [string, string][] {
  if (firstByte === undefined || lastByte === undefined) return [];
  return [
    ['lies', `from byte ${firstByte} to byte ${lastByte}`],
    ['map', `|${map.draw()}| ${humanSize(map.cellSize)} per cell`],
  ];
}

/** docs/format.md says what the names mean. */
function asJson(inspection: Inspection): Record<string, unknown> {
  const { hello, map, fault, form, tornTail, ...rest } = inspection;
  const about = hello && {
    kind: hello.kind,
    deviceSize: hello.deviceSize,
    streamId: hex(hello.streamId),
    setId: hex(hello.setId),
    streamIndex: hello.streamIndex,
    streamCount: hello.streamCount,
    ...hello.attributes,
  };
  return {
    ...rest,
    form: form ?? null,
    ...about,
    complete: fault === undefined && tornTail === undefined,
    applicable: fault === undefined,
    fault: fault === undefined ? null : faultJson(fault),
    map: { cellSize: map.cellSize, shares: map.shares.map((share) => Number(share.toFixed(4))) },
  };
}

function faultJson({ message, exitStatus }: LvmsyncError): Record<string, unknown> {
  return { exitStatus, message };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
