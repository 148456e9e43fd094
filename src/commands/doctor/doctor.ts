/** `lvmsync doctor [SNAPSHOT] [[HOST:]DESTINATION]`: whether a run would begin, and what to do that it does. */

import { formatObject } from '../../base/json-object.js';
import { VERSION } from '../../base/version.js';
import type { DoctorCommand } from '../../cli/command.js';
import type { RunContext } from '../../run/context.js';
import { interrupted } from '../../run/interruption.js';
import { examineDestination, examineSnapback } from './destination.js';
import { judgeMachine, readMachine } from './machine.js';
import { examineRemote } from './remote.js';
import { type Diagnosis, formatDiagnosis, statusOf, summarize } from './report.js';
import { examineSource, type SourceFindings } from './source.js';
import { examineTools, type Needs } from './tools.js';

const NO_SOURCE: SourceFindings = {
  diagnoses: [],
  kind: undefined,
  size: undefined,
  copySize: undefined,
  members: [],
  headKinds: 'unknown',
};

/** Each line is printed as soon as it is known. The status is 1 where something is missing. */
export async function runDoctor(command: DoctorCommand, context: RunContext): Promise<number> {
  const all: Diagnosis[] = [];
  const tell = (found: readonly Diagnosis[]): void => {
    if (context.signal.aborted) throw interrupted(context.signal);
    for (const one of found) context.print(format(one, command));
    all.push(...found);
  };
  const { snapshot, destination } = command;
  tell([{ level: 'ok', subject: 'lvmsync', text: VERSION }]);
  const source =
    snapshot === undefined ? NO_SOURCE : await examineSource(snapshot, context.reporter);
  const needs = needsOf(command, source);
  tell(judgeMachine(await readMachine(context.engine), needs));
  tell(await examineTools(needs));
  tell(source.diagnoses);
  if (destination !== undefined) {
    const { host, path } = destination;
    const about = { command, source };
    if (host !== undefined) tell(await examineRemote({ host, path }, about, context));
    else tell(await examineDestination(path, source, context.commandLine));
  }
  if (command.snapback !== undefined && destination?.host === undefined) {
    tell([examineSnapback(command.snapback)]);
  }
  if (!command.json) context.print(`${summarize(all)}\n`);
  return statusOf(all);
}

function format(found: Diagnosis, { json }: DoctorCommand): string {
  return json ? formatObject(found) : formatDiagnosis(found);
}

function needsOf(command: DoctorCommand, { kind }: SourceFindings): Needs {
  const { destination, remote, receives } = command;
  return {
    lvm: !receives,
    thin: kind === 'thin',
    ssh: destination?.host !== undefined && remote.transport === 'rsh' && !remote.rshGiven,
  };
}
