/** A host with volume groups, played from recorded answers of its tools. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { LvmsyncError } from '../../../src/base/errors.js';
import { type Argv, CommandError, type RunCommand } from '../../../src/host/subprocess.js';
import type { PathKind } from '../../../src/lvm/volume-name.js';

/** What the tools of one host answer; the files hold genuine answers, see test/golden. */
export interface Host {
  readonly lvs: string;
  readonly table: string;
  readonly status: string;
  readonly info: string;
  readonly metadata: string;
}

export function recorded(state: string): Host {
  const text = (name: string) =>
    readFileSync(
      new URL(`../../../../test/golden/lvm-states/${state}/${name}`, import.meta.url),
      'utf8',
    );
  return {
    lvs: text('lvs.json'),
    table: text('dmsetup-table.txt'),
    status: text('dmsetup-status.txt'),
    info: text('dmsetup-info.txt'),
    metadata: text('vgcfgbackup.txt'),
  };
}

/** A RunCommand that answers as the tools of `host` do, and keeps every argv in `calls`. */
export function runOn(host: Host, calls: Argv[] = []): RunCommand {
  return async (argv, options = {}) => {
    calls.push(argv);
    const [tool, ...args] = argv;
    const uuid = args[args.indexOf('-u') + 1];
    const names = args.includes('-u') ? namesOf(host, uuid) : args.slice(args.indexOf('--') + 1);
    const fail = (stderr: string, status: number) =>
      new CommandError({
        argv,
        code: options.code,
        reason: `exit status ${status}`,
        status,
        stderr,
      });
    if (tool === 'dmsetup') {
      const answer = answerOfDmsetup(host, args[0] ?? '', names);
      if (answer === undefined) throw fail('Device does not exist.\nCommand failed.\n', 1);
      return { stdout: answer, stderr: '' };
    }
    const group = /"vg_name":"([^"]+)"/.exec(host.lvs)?.[1] ?? '';
    if (names.length !== 1 || names[0] !== group) {
      throw fail(`  Volume group "${names[0]}" not found\n`, 5);
    }
    if (tool === 'lvs') return { stdout: host.lvs, stderr: '' };
    assert.equal(tool, 'vgcfgbackup');
    await writeFile(expandTemplate(args[args.indexOf('-f') + 1] ?? '', group), host.metadata);
    return { stdout: '', stderr: '' };
  };
}

/** The device-mapper uuid of a device of the host, by its name. */
export function uuidOf(host: Host, name: string): string {
  const line = host.info.split('\n').find((one) => one.startsWith(`${name} `));
  return line?.split(' ')[3] ?? assert.fail(`no device ${name}`);
}

function namesOf(host: Host, uuid = ''): string[] {
  const line = host.info.split('\n').find((one) => one.endsWith(` ${uuid}`));
  return [line?.split(' ')[0] ?? 'no-such-device'];
}

/** vgcfgbackup's file name goes through printf with the group's name as its argument. */
function expandTemplate(template: string, group: string): string {
  return template.replace(/%[%s]/g, (found) => (found === '%%' ? '%' : group));
}

function answerOfDmsetup(host: Host, verb: string, names: readonly string[]): string | undefined {
  const all = { table: host.table, status: host.status, info: host.info }[verb] ?? '';
  const lines = names.map((name) =>
    all.split('\n').filter((line) => line.startsWith(verb === 'info' ? `${name} ` : `${name}: `)),
  );
  if (lines.some((found) => found.length === 0)) return undefined;
  const found = lines.flat();
  const prefix = verb === 'info' || names.length > 1 ? '' : `${names[0]}: `;
  return found.map((line) => `${line.slice(prefix.length)}\n`).join('');
}

/** The path is a device of the host, by its device-mapper name. */
export function deviceOf(host: Host, name: string): () => Promise<PathKind> {
  const [, major, minor, uuid] =
    host.info
      .split('\n')
      .find((line) => line.startsWith(`${name} `))
      ?.split(' ') ?? assert.fail(`no device ${name}`);
  return async () => ({
    kind: 'block',
    number: `${major}:${minor}`,
    mapped: { name, uuid: uuid ?? '' },
  });
}

/** Nothing is at the path: the volume is named, not its device. */
export const missing = async (): Promise<PathKind> => ({ kind: 'missing' });

/** What `running` fails with; it has to, with a one-line message. */
export async function refusal(running: Promise<unknown>): Promise<LvmsyncError> {
  const error = await running.then(
    (found) => assert.fail(`found ${JSON.stringify(found)}`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof LvmsyncError, String(error));
  assert.ok(!error.message.includes('\n'), 'the message is one line');
  return error;
}

/** Changes fields of every row of one volume, and checks that there is such a row. */
export function lvsWith(
  host: Host,
  lvName: string,
  fields: Readonly<Record<string, string>>,
): Host {
  const report = JSON.parse(host.lvs);
  const rows = report.report[0].lv.filter((row: { lv_name: string }) => row.lv_name === lvName);
  assert.ok(rows.length > 0, lvName);
  for (const row of rows) Object.assign(row, fields);
  return { ...host, lvs: JSON.stringify(report) };
}
