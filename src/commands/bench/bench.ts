/** `lvmsync bench [SNAPSHOT|DEVICE] [HOST]`: how fast each part of a run is, and what to make of it. */

import { EXIT, LvmsyncError } from '../../base/errors.js';
import { formatObject } from '../../base/json-object.js';
import type { BenchCommand } from '../../cli/command.js';
import { selectEngine } from '../../device/select-engine.js';
import { hasLz4 } from '../../host/addon.js';
import { askPeer, type PeerAnswer, requirePeer } from '../../remote/ask-peer.js';
import { outputOf } from '../../remote/peer-verdict.js';
import { noAnswer } from '../../remote/stall-watch.js';
import type { RunContext } from '../../run/context.js';
import { interrupted } from '../../run/interruption.js';
import { openChangedOrWhole } from '../../source/whole-source.js';
import { advise } from './advice.js';
import { measureLink } from './link.js';
import { measureHash, measureLz4 } from './processor.js';
import { areaOf, measureReads, readSample } from './reads.js';
import { type BenchRow, formatRow, isAdvice, parseRow, TABLE_HEADING } from './report.js';
import { checkScratch, measureScratch } from './scratch.js';

/** Each row is printed as soon as it is measured. */
export async function runBench(command: BenchCommand, context: RunContext): Promise<number> {
  selectEngine(context);
  const { json } = command;
  const rows: BenchRow[] = [];
  for await (const row of measure(command, context)) {
    if (context.signal.aborted) throw interrupted(context.signal);
    if (rows.length === 0 && !json) context.print(TABLE_HEADING);
    rows.push(row);
    context.print(json ? formatObject(row) : formatRow(row));
  }
  const advice = advise(rows);
  context.print(json ? formatObject({ what: 'advice', ...advice }) : `${advice.text}\n`);
  return EXIT.done;
}

async function* measure(
  command: BenchCommand,
  context: RunContext,
): AsyncGenerator<BenchRow, void> {
  const { source, host, scratch, streams } = command;
  if (scratch !== undefined && host === undefined) checkScratch(scratch);
  if (source !== undefined) yield* measureSource(source, context);
  yield await measureHash();
  if (host !== undefined) {
    yield await measureLink({ host, command }, 1, context);
    if (streams > 1) yield await measureLink({ host, command }, streams, context);
  }
  if (scratch === undefined) return;
  if (host === undefined) yield* measureScratch(scratch, context.signal);
  else yield* await askForScratch({ host, scratch }, command, context);
}

async function* measureSource(
  subject: string,
  context: RunContext,
): AsyncGenerator<BenchRow, void> {
  const source = await openChangedOrWhole(subject, context);
  try {
    const area = areaOf(source);
    yield* measureReads(source.device, area, context.signal);
    if (!hasLz4() || area.count === 0) return;
    yield await measureLz4(await readSample(source.device, area));
  } finally {
    await source.close();
  }
}

/** A login may take long, and the measurement takes some seconds. */
const LIMIT_SECONDS = 90;

/** By the lvmsync there. Throws its refusal, or (transport). */
async function askForScratch(
  { host, scratch }: { readonly host: string; readonly scratch: string },
  { remote }: BenchCommand,
  context: RunContext,
): Promise<readonly BenchRow[]> {
  const args = ['bench', '--json', '--scratch', scratch];
  const request = { host, remote, args, isLast: isAdvice, limitSeconds: LIMIT_SECONDS };
  const answer = await askPeer(request, context);
  if (context.signal.aborted) throw interrupted(context.signal);
  const rows = answer.lines.flatMap((line) => parseRow(line) ?? []);
  if (rows.length > 0 && endedWell(answer)) {
    return rows.map((row) => ({ ...row, host }));
  }
  if (answer.lateAfter !== undefined) throw noAnswer({ host }, answer.lateAfter);
  requirePeer({ host, remote }, answer);
  const said = outputOf(answer.lastLines);
  throw new LvmsyncError('transport', `${host}: its disk was not measured${said}`, {
    hint: 'The remote host needs an lvmsync with bench, and FILE must not exist yet.',
  });
}

function endedWell({ exit, isWhole }: PeerAnswer): boolean {
  if (exit.kind === 'status') return exit.status === EXIT.done;
  return isWhole && exit.kind === 'signal';
}
