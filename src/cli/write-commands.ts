/** Commands for what lies on the machine of a destination, made of options. All throw (usage). */

import { LvmsyncError } from '../base/errors.js';
import { endOfTime } from '../base/local-time.js';
import { escapeText } from '../base/text.js';
import type { ChainRequest } from '../chain/keep.js';
import type { RollbackTarget } from '../chain/rollback-plan.js';
import type { WriteRequest } from '../pipeline/request.js';
import type { RunRequest } from '../run/request.js';
import type {
  ApplyCommand,
  ChainCommand,
  DryRunRequest,
  HashCommand,
  InspectCommand,
  RollbackCommand,
} from './command.js';
import { refuseHost, takeLocalDestination, takeLocalPath } from './destination-operand.js';
import type { ParsedOptions } from './option-grammar.js';
import { clash, givenKeep, needs, parseKeep, refuseRest, usage } from './option-values.js';

export function applyCommand(parsed: ParsedOptions, run: RunRequest): ApplyCommand {
  const operands = [...parsed.operands];
  const destination = takeLocalDestination(operands);
  refuseRest(operands);
  const input = parsed.values.apply ?? '-';
  refuseHost(input, '--apply');
  const chain = chainRequest(parsed);
  return {
    kind: 'apply',
    ...run,
    ...writeRequest(parsed),
    input,
    destination,
    ...(chain && { chain }),
    ...dryRunRequest(parsed),
  };
}

function chainRequest({ flags, values }: ParsedOptions): ChainRequest | undefined {
  const { chain: directory } = values;
  if (directory === undefined) {
    if (flags.init) throw needs('init', 'chain');
    const keep = givenKeep(values);
    if (keep !== undefined) throw needs(keep, 'chain');
    if (values.fetched !== undefined) throw needs('fetched', 'chain');
    return undefined;
  }
  // It names the snapback itself, and a copy that is not complete is not a restore point.
  if (values.snapback !== undefined) throw clash('snapback', '--chain');
  if (flags['allow-smaller']) throw clash('allow-smaller', '--chain');
  const fetched = values.fetched as ChainRequest['fetched'];
  return {
    ...{ directory, init: flags.init === true, keep: parseKeep(values) },
    ...(fetched && { fetched }),
  };
}

export function chainCommand(parsed: ParsedOptions, run: RunRequest): ChainCommand {
  const [, ...operands] = parsed.operands;
  const directory = takeLocalPath(operands, 'DIR');
  const destination = operands.length === 0 ? undefined : takeLocalDestination(operands);
  refuseRest(operands);
  return { kind: 'chain', ...run, directory, destination, json: parsed.flags.json === true };
}

export function inspectCommand(
  { operands, flags }: ParsedOptions,
  run: RunRequest,
): InspectCommand {
  const [, ...files] = operands;
  if (files.length === 0) throw usage('missing operand: FILE');
  for (const file of files) refuseHost(file, 'FILE');
  if (files.includes('-')) throw usage('inspect reads files, not standard input');
  return { kind: 'inspect', ...run, files, json: flags.json === true };
}

export function rollbackCommand(parsed: ParsedOptions, run: RunRequest): RollbackCommand {
  const { flags } = parsed;
  const [, ...operands] = parsed.operands;
  const destination = takeLocalDestination(operands);
  const directory = operands.length === 0 ? '.' : takeLocalPath(operands, 'DIR');
  refuseRest(operands);
  const target = rollbackTarget(parsed);
  const dryRun = flags['dry-run'] === true;
  const force = flags.force === true;
  return { kind: 'rollback', ...run, destination, directory, target, dryRun, force };
}

function rollbackTarget({ flags, values }: ParsedOptions): RollbackTarget | 'redo' {
  const { to, steps } = values;
  const given = [to !== undefined, steps !== undefined, flags.redo === true];
  if (given.filter(Boolean).length !== 1) {
    throw usage('rollback needs exactly one of --to, --steps and --redo');
  }
  if (steps !== undefined) {
    if (/^\d{1,6}$/.test(steps)) return { steps: Number(steps) };
    throw usage(`--steps: expected a whole number, 0 or more, saw "${escapeText(steps, 80)}"`);
  }
  if (to === undefined) return 'redo';
  const until = endOfTime(to);
  if (until !== undefined) return { until, text: to };
  throw usage(
    `--to: expected a time such as 2026-11-23T10:15:00Z, or the beginning of one, saw "${escapeText(to, 80)}"`,
  );
}

export function hashCommand(parsed: ParsedOptions, run: RunRequest): HashCommand {
  const operands = [...parsed.operands];
  const destination = takeLocalDestination(operands);
  refuseRest(operands);
  return { kind: 'hash', ...run, destination };
}

export function dryRunRequest({ flags }: ParsedOptions): DryRunRequest {
  return flags['dry-run'] === true ? { dryRun: true } : {};
}

export function writeRequest({
  flags,
  values,
}: ParsedOptions): Omit<WriteRequest, keyof RunRequest> {
  const overwrite = flags['snapback-overwrite'] === true;
  const { snapback } = values;
  if (overwrite && snapback === undefined) throw needs('snapback-overwrite', 'snapback');
  refuseHostInSnapback(snapback);
  return {
    snapback: snapback === undefined ? undefined : { path: snapback, overwrite },
    allowSmaller: flags['allow-smaller'] === true,
    force: flags.force === true,
  };
}

/** Only with a path from the root: a name with a time in it has a colon, too. */
export function refuseHostInSnapback(path: string | undefined): void {
  const [, inside] = /^[^/:]+:(\/.*)$/s.exec(path ?? '') ?? [];
  if (path === undefined || inside === undefined) return;
  throw new LvmsyncError(
    'usage',
    `--snapback: "${escapeText(path, 80)}" names a host; a snapback always lies on the host of DESTINATION`,
    { hint: `Give its path there, without the host: --snapback ${escapeText(inside, 80)}` },
  );
}
