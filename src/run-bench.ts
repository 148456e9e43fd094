/** `lvmsync bench [SNAPSHOT|DEVICE] [HOST]`: how fast each part of a run is, and what to make of it. */

import { askPeer, requirePeer } from './ask-peer.js';
import { advise } from './bench-advice.js';
import { measureLink } from './bench-link.js';
import { measureHash, measureLz4 } from './bench-processor.js';
import { areaOf, measureReads, readSample } from './bench-reads.js';
import { type BenchRow, formatRow, parseRow, TABLE_HEADING } from './bench-report.js';
import { measureScratch } from './bench-scratch.js';
import { EXIT, LvmsyncError } from './errors.js';
import type { BenchCommand } from './examine-commands.js';
import { hasLz4 } from './installation.js';
import { formatObject } from './json-object.js';
import { interrupted, type RunContext, selectEngine } from './run-context.js';
import { openChangedOrWhole } from './whole-source.js';

/** Each row is printed as soon as it is measured. */
export async function runBench(command: BenchCommand, context: RunContext): Promise<number> {
  selectEngine(context);
  const { json } = command;
  const rows: BenchRow[] = [];
  if (!json) context.print(TABLE_HEADING);
  for await (const row of measure(command, context)) {
    if (context.signal.aborted) throw interrupted(context.signal);
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
const PATIENCE = 90;

/** By the lvmsync there. Throws its refusal, or (transport). */
async function askForScratch(
  { host, scratch }: { readonly host: string; readonly scratch: string },
  { remote }: BenchCommand,
  context: RunContext,
): Promise<readonly BenchRow[]> {
  const words = ['bench', '--json', '--scratch', scratch];
  const timeoutSeconds = remote.timeoutSeconds ?? PATIENCE;
  const answer = await askPeer({ host, remote, words, timeoutSeconds }, context);
  if (context.signal.aborted) throw interrupted(context.signal);
  const rows = answer.text.split('\n').flatMap((line) => parseRow(line) ?? []);
  if (answer.exit.kind === 'status' && answer.exit.status === EXIT.done && rows.length > 0) {
    return rows.map((row) => ({ ...row, host }));
  }
  if (!answer.isLate) requirePeer(host, answer);
  const said = answer.lastLines.join(' | ');
  throw new LvmsyncError('transport', `${host}: its disk was not measured (it said: ${said})`, {
    hint: 'It takes this lvmsync there, and a FILE that does not exist.',
  });
}
