/** The report of `lvs`: every volume of a group, typed. */

import { LvmsyncError } from '../base/errors.js';
import { CommandError, type CommandOutput, type RunCommand } from '../host/subprocess.js';

/** One volume as `lvs` reports it. */
export interface Volume {
  readonly vgName: string;
  readonly vgUuid: string;
  readonly lvName: string;
  readonly uuid: string;
  /** Bytes; of a thick snapshot the size of its COW store. */
  readonly size: number;
  readonly path: string;
  readonly roles: readonly string[];
  readonly segmentType: string;
  /** Undefined: the kernel of this host does not have it. */
  readonly deviceNumber: string | undefined;
  readonly origin: { readonly lvName: string; readonly uuid: string } | undefined;
  /** Bytes the origin had when the snapshot was made; it stays when the origin grows. */
  readonly originSize: number | undefined;
  readonly chunkSize: number | undefined;
  readonly merging: boolean;
  readonly mergeFailed: boolean;
  readonly invalid: boolean;
  readonly poolName: string;
  readonly thinId: number | undefined;
}

const LVS_FIELDS = [
  'vg_name,vg_uuid,lv_name,lv_uuid,lv_size,lv_dm_path,lv_role,segtype',
  'lv_kernel_major,lv_kernel_minor,origin,origin_uuid,origin_size,chunk_size',
  'lv_merging,lv_merge_failed,lv_snapshot_invalid,pool_lv,thin_id',
].join(',');

/** Every volume of the group, internal ones too. Throws LvmsyncError 'sourceUnfit'. */
export async function listVolumes(vgName: string, run: RunCommand): Promise<readonly Volume[]> {
  return distinct((await readReport(vgName, LVS_FIELDS, run)).map(parseRow));
}

export interface TaggedVolume extends Volume {
  readonly tags: readonly string[];
}

/** The same with the tags of each; undefined: of all groups. */
export async function listTaggedVolumes(
  vgName: string | undefined,
  run: RunCommand,
): Promise<readonly TaggedVolume[]> {
  const rows = await readReport(vgName, `${LVS_FIELDS},lv_tags`, run);
  return distinct(rows.map(parseTagged));
}

export interface FilledVolume extends TaggedVolume {
  /** Percent: of a thick snapshot its COW store; of a pool its data; undefined: not known, such as of one that is inactive. */
  readonly dataPercent: number | undefined;
  /** Percent, of a pool. */
  readonly metadataPercent: number | undefined;
}

export interface AllVolumes {
  readonly volumes: readonly FilledVolume[];
  /** Why there may be more: one damaged group does not hide the others. */
  readonly fault: LvmsyncError | undefined;
}

/** The volumes of all groups, and how full they are. Throws LvmsyncError 'sourceUnfit' where LVM lists nothing. */
export async function listAllVolumes(run: RunCommand): Promise<AllVolumes> {
  const fields = `${LVS_FIELDS},lv_tags,data_percent,metadata_percent`;
  const parse = (stdout: string): readonly FilledVolume[] =>
    distinct(reportRows(onlyJson(stdout)).map(parseFilled));
  try {
    const { stdout, stderr } = await askLvs(undefined, fields, run);
    return { volumes: parse(stdout), fault: unseenIn(stderr) };
  } catch (error) {
    if (!(error instanceof CommandError) || error.stdout.trim() === '') throw error;
    return { volumes: parse(error.stdout), fault: error };
  }
}

/** LVM prints "Retrying metadata scan." between the lines of the report, where a group is damaged. */
function onlyJson(stdout: string): string {
  const lines = stdout.split('\n').filter((line) => /^\s*[[\]{}"]/.test(line));
  return lines.join('\n');
}

/** LVM leaves out a group whose metadata or devices are gone, and ends with 0. Other warnings say nothing of that. */
const UNSEEN =
  /no VG was found using it|metadata summary|bad metadata|invalid metadata|Couldn't find|not found or rejected|is missing PV/;

function unseenIn(stderr: string): LvmsyncError | undefined {
  const line = stderr.split('\n').find((one) => UNSEEN.test(one));
  if (line === undefined) return undefined;
  return new LvmsyncError('sourceUnfit', `lvs: ${line.trim()}`, {
    hint: 'A volume group may be missing, or a part of it: look at "vgs" and "pvs".',
  });
}

function parseTagged(row: unknown): TaggedVolume {
  const tags = textField(row, 'lv_tags').split(',');
  return { ...parseRow(row), tags: tags.filter((tag) => tag !== '') };
}

function parseFilled(row: unknown): FilledVolume {
  const percent = (field: string): number | undefined => {
    const text = textField(row, field);
    return /^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined;
  };
  const dataPercent = percent('data_percent');
  return { ...parseTagged(row), dataPercent, metadataPercent: percent('metadata_percent') };
}

async function readReport(
  vgName: string | undefined,
  fields: string,
  run: RunCommand,
): Promise<readonly unknown[]> {
  return reportRows((await askLvs(vgName, fields, run)).stdout);
}

function askLvs(
  vgName: string | undefined,
  fields: string,
  run: RunCommand,
): Promise<CommandOutput> {
  const format = ['-a', '--reportformat', 'json', '--units', 'b', '--nosuffix', '--binary'];
  const which = vgName === undefined ? [] : ['--', vgName];
  return run(['lvs', ...format, '-o', fields, ...which], { code: 'sourceUnfit' });
}

/** `lvs` prints a row for each segment; what is wanted of a volume is the same in all of them. */
function distinct<T extends Volume>(volumes: readonly T[]): readonly T[] {
  return [...new Map(volumes.map((volume) => [volume.uuid, volume])).values()];
}

function reportRows(json: string): readonly unknown[] {
  try {
    const report: unknown = JSON.parse(json);
    return listAt(report, 'report').flatMap((part) => listAt(part, 'lv'));
  } catch (cause) {
    throw new LvmsyncError('sourceUnfit', 'lvs: its report is not JSON', { cause });
  }
}

function listAt(value: unknown, key: string): readonly unknown[] {
  const list = isRecord(value) ? value[key] : undefined;
  return Array.isArray(list) ? list : [];
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function textField(row: unknown, field: string): string {
  const value = isRecord(row) ? row[field] : undefined;
  if (typeof value === 'string') return value;
  throw new LvmsyncError('sourceUnfit', `lvs: its report has no ${field}`);
}

function parseRow(row: unknown): Volume {
  const text = (field: string): string => textField(row, field);
  const count = (field: string): number | undefined => {
    const value = text(field);
    if (value === '') return undefined;
    if (/^\d+$/.test(value) && Number.isSafeInteger(Number(value))) return Number(value);
    throw new LvmsyncError('sourceUnfit', `lvs: ${field} is not a count (${value})`);
  };
  // Internal volumes stand in brackets.
  const name = (field: string): string => text(field).replace(/^\[(.*)\]$/, '$1');
  const isActive = text('lv_kernel_major') !== '-1';
  return {
    vgName: text('vg_name'),
    vgUuid: text('vg_uuid'),
    lvName: name('lv_name'),
    uuid: text('lv_uuid'),
    size: count('lv_size') ?? 0,
    path: text('lv_dm_path'),
    roles: text('lv_role').split(','),
    segmentType: text('segtype'),
    deviceNumber: isActive ? `${text('lv_kernel_major')}:${text('lv_kernel_minor')}` : undefined,
    origin:
      text('origin') === '' ? undefined : { lvName: name('origin'), uuid: text('origin_uuid') },
    originSize: count('origin_size'),
    chunkSize: count('chunk_size'),
    merging: text('lv_merging') === '1',
    mergeFailed: text('lv_merge_failed') === '1',
    invalid: text('lv_snapshot_invalid') === '1',
    poolName: name('pool_lv'),
    thinId: count('thin_id'),
  };
}
