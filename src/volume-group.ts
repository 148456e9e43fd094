/**
 * From what a person typed to the snapshot it names. Three witnesses are asked: `lvs`, the volume
 * group's metadata (vgcfgbackup) and the kernel (dmsetup). A snapshot is served only where they agree
 * and its list of changes is whole.
 */

import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandError, type RunCommand, runCommand } from './command.js';
import {
  formatDeviceName,
  parseDeviceName,
  parseDeviceUuid,
  parseInfo,
  parseStatus,
  parseTable,
  SECTOR_SIZE,
  type SnapshotFault,
  type SnapshotUsage,
  type TableTarget,
  type TargetPlace,
  type VolumeName,
} from './device-mapper.js';
import { LvmsyncError } from './errors.js';
import {
  type ConfigSection,
  findInteger,
  findSection,
  findString,
  parseLvmConfig,
} from './lvm-config.js';

export interface ThickSnapshot {
  readonly kind: 'thick';
  readonly vgName: string;
  readonly lvName: string;
  readonly uuid: string;
  readonly dmName: string;
  readonly snapshotPath: string;
  readonly cowPath: string;
  /** Bytes. */
  readonly chunkSize: number;
  readonly origin: Origin;
  /** Bytes; changes of the origin at or beyond it are in no list. Less than origin.size if it grew. */
  readonly originSizeAtSnapshot: number;
}

export interface Origin {
  readonly lvName: string;
  readonly uuid: string;
  /** Bytes, now. */
  readonly size: number;
  readonly path: string;
}

export interface ThinVolume {
  readonly kind: 'thin';
  readonly vgName: string;
  readonly lvName: string;
  readonly uuid: string;
  readonly dmName: string;
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Whether this host's kernel has it; a thin snapshot is inactive unless asked for. */
  readonly active: boolean;
  readonly poolName: string;
  /** The device's number in the pool; a merge changes it, so it holds for this run only. */
  readonly thinId: number;
  /** What it is a snapshot of, in the same pool; absent if that was removed. */
  readonly origin?: { readonly lvName: string; readonly uuid: string };
  /** The volume outside the pool that serves what is not mapped. */
  readonly externalOrigin?: { readonly lvName: string; readonly uuid: string };
}

/** What a path is, as far as finding a volume goes. */
export type PathKind =
  | { readonly kind: 'missing' }
  | { readonly kind: 'block'; readonly number: string; readonly mapped?: MappedDevice }
  /** `what` completes "it is ...". */
  | { readonly kind: 'other'; readonly what: string };

export interface MappedDevice {
  readonly name: string;
  readonly uuid: string;
}

/**
 * The snapshot that `subject` names: /dev/VG/LV, /dev/mapper/NAME, VG/LV, or any path to its device.
 * Throws LvmsyncError 'usage' if that is no logical volume, 'sourceUnfit' if it is one that cannot
 * serve: not a snapshot, overflowed, merging, inactive, or described differently by LVM and the kernel.
 */
export async function findSnapshot(
  subject: string,
  run: RunCommand = runCommand,
  inspect: (path: string) => Promise<PathKind> = inspectPath,
): Promise<ThickSnapshot | ThinVolume> {
  const wanted = await identify(subject, inspect);
  const volumes = await listVolumes(wanted, run);
  const volume = volumes.find(({ lvName, uuid }) =>
    wanted.uuid === undefined ? lvName === wanted.lvName : bare(uuid) === wanted.uuid,
  );
  if (volume === undefined) throw noSuchVolume(subject);
  if (volume.segmentType === 'thin') return describeThin(volume, volumes, run);
  if (volume.roles.includes('thicksnapshot')) return describeThick(volume, volumes, run);
  throw notSnapshot(volume, volumes);
}

const FAULTS: Readonly<Record<SnapshotFault, string>> = {
  Invalid: 'snapshot overflowed, its change list is lost: full copy needed (kernel: Invalid)',
  Overflow: 'snapshot overflowed, its change list is lost: full copy needed (kernel: Overflow)',
  'Merge failed': 'its merge into the origin failed, the origin is half merged',
  Unknown: 'a transient snapshot keeps no change list on disk',
};

/** The fill of the COW store. Throws 'sourceUnfit' if its list of changes is not whole any more. */
export async function readSnapshotStatus(
  snapshot: Pick<ThickSnapshot, 'vgName' | 'lvName' | 'dmName'>,
  run: RunCommand = runCommand,
): Promise<SnapshotUsage> {
  const { stdout } = await run(['dmsetup', 'status', '--', snapshot.dmName], UNFIT);
  const targets = parseStatus(stdout);
  const [target] = targets;
  if (target?.type !== 'snapshot') throw unfit(snapshot, notSnapshotTarget(targets));
  if ('fault' in target) throw unfit(snapshot, FAULTS[target.fault]);
  return target.usage;
}

/** Follows symbolic links; device-mapper's name and uuid come from sysfs. */
export async function inspectPath(path: string): Promise<PathKind> {
  const found = await stat(path).catch((cause: unknown) => missing(path, cause));
  if (found === undefined) return { kind: 'missing' };
  if (found.isFile()) return { kind: 'other', what: 'a regular file' };
  if (found.isDirectory()) return { kind: 'other', what: 'a directory' };
  if (!found.isBlockDevice()) return { kind: 'other', what: 'not a block device' };
  const number = deviceNumber(found.rdev);
  try {
    const folder = `/sys/dev/block/${number}/dm`;
    const name = (await readFile(join(folder, 'name'), 'utf8')).trim();
    const uuid = (await readFile(join(folder, 'uuid'), 'utf8')).trim();
    return { kind: 'block', number, mapped: { name, uuid } };
  } catch (cause) {
    return missing(path, cause) ?? { kind: 'block', number };
  }
}

/** Undefined for "there is no such file"; any other failure to look is thrown. */
function missing(path: string, cause: unknown): undefined {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
  throw new LvmsyncError('usage', `${path}: cannot be looked up (${code ?? cause})`, { cause });
}

/** Linux's dev_t: 12 + 20 bits of major, 8 + 24 of minor, interleaved. */
function deviceNumber(rdev: number): string {
  const bits = BigInt(rdev);
  const major = ((bits >> 8n) & 0xfffn) | ((bits >> 32n) & 0xfffff000n);
  const minor = (bits & 0xffn) | ((bits >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

interface Wanted {
  readonly subject: string;
  readonly vgName: string;
  readonly lvName: string;
  /** As the kernel gives it, where the subject is a device. */
  readonly uuid?: string;
}

const NAME_FORMS = 'Name a snapshot as /dev/VG/LV, /dev/mapper/NAME or VG/LV.';

async function identify(
  subject: string,
  inspect: (path: string) => Promise<PathKind>,
): Promise<Wanted> {
  const found = await inspect(subject);
  if (found.kind === 'block') return identifyDevice(subject, found);
  const name = parseSubject(subject);
  if (found.kind === 'other' && (name === undefined || subject.startsWith('/'))) {
    throw notVolume(subject, found.what);
  }
  if (name === undefined) {
    throw new LvmsyncError('usage', `${subject}: no such device`, { hint: NAME_FORMS });
  }
  return { subject, ...name };
}

function identifyDevice(subject: string, found: PathKind & { kind: 'block' }): Wanted {
  const { number, mapped } = found;
  if (mapped === undefined) throw notVolume(subject, `the block device ${number}`);
  const uuid = parseDeviceUuid(mapped.uuid);
  const name = parseDeviceName(mapped.name);
  if (uuid === undefined || name === undefined) {
    throw notVolume(subject, `the device-mapper device "${mapped.name}" of another program`);
  }
  if (uuid.layer !== undefined) {
    const what = `the internal device "${uuid.layer}" of ${name.vgName}/${name.lvName}`;
    throw notVolume(subject, what);
  }
  return { subject, vgName: name.vgName, lvName: name.lvName, uuid: uuid.lvUuid };
}

/** LVM's rule for names of groups and volumes; it keeps options, tags and paths out. */
const LVM_NAME = /^(?!\.{1,2}$)[\w+.][\w+.-]*$/;

/** The names in a path that is not there (the volume is inactive) or in VG/LV. */
function parseSubject(subject: string): { vgName: string; lvName: string } | undefined {
  const [, mapped] = /^\/dev\/mapper\/([^/]+)$/.exec(subject) ?? [];
  if (mapped !== undefined) {
    const { vgName, lvName, layer } = parseDeviceName(mapped) ?? {};
    return vgName === undefined || lvName === undefined || layer !== undefined
      ? undefined
      : { vgName, lvName };
  }
  const [, vgName = '', lvName = ''] = /^(?:\/dev\/)?([^/]+)\/([^/]+)$/.exec(subject) ?? [];
  return LVM_NAME.test(vgName) && LVM_NAME.test(lvName) ? { vgName, lvName } : undefined;
}

function notVolume(subject: string, what: string): LvmsyncError {
  return new LvmsyncError('usage', `${subject}: not a logical volume (it is ${what})`, {
    hint: NAME_FORMS,
  });
}

function noSuchVolume(subject: string, cause?: CommandError): LvmsyncError {
  const detail = cause === undefined ? '' : ` (${cause.message})`;
  return new LvmsyncError('usage', `${subject}: no such logical volume${detail}`, {
    hint: NAME_FORMS,
    cause,
  });
}

function notSnapshot(volume: Volume, volumes: readonly Volume[]): LvmsyncError {
  const snapshots = volumes.filter(({ origin }) => origin?.uuid === volume.uuid).map(fullName);
  const hint =
    snapshots.length > 0
      ? `Its snapshots: ${snapshots.join(', ')}.`
      : `It has none; lvcreate --snapshot makes one.`;
  return unfit(volume, `not a snapshot but a volume of type ${volume.segmentType}`, hint);
}

function unfit(
  volume: Pick<Volume, 'vgName' | 'lvName'>,
  what: string,
  hint?: string,
): LvmsyncError {
  const context = hint === undefined ? {} : { hint };
  return new LvmsyncError('sourceUnfit', `${fullName(volume)}: ${what}`, context);
}

function fullName({ vgName, lvName }: Pick<Volume, 'vgName' | 'lvName'>): string {
  return `${vgName}/${lvName}`;
}

/** LVM writes uuids with hyphens, the kernel holds them without. */
function bare(uuid: string): string {
  return uuid.replaceAll('-', '');
}

const UNFIT = { code: 'sourceUnfit' } as const;

/** One volume as `lvs` reports it. */
interface Volume {
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

/** Every volume of the group, internal ones too. */
async function listVolumes(wanted: Wanted, run: RunCommand): Promise<readonly Volume[]> {
  const format = ['-a', '--reportformat', 'json', '--units', 'b', '--nosuffix', '--binary'];
  try {
    const { stdout } = await run(['lvs', ...format, '-o', LVS_FIELDS, '--', wanted.vgName], UNFIT);
    return parseReport(stdout);
  } catch (error) {
    // Anything else (no right to ask, a lock, a broken group) says nothing about the name.
    const isMissing = error instanceof CommandError && error.stderr.includes('not found');
    if (wanted.uuid === undefined && isMissing) throw noSuchVolume(wanted.subject, error);
    throw error;
  }
}

/** `lvs` prints a row for each segment; what is wanted of a volume is the same in all of them. */
function parseReport(json: string): readonly Volume[] {
  const volumes = reportRows(json).map(parseRow);
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

function parseRow(row: unknown): Volume {
  const text = (field: string): string => {
    const value = isRecord(row) ? row[field] : undefined;
    if (typeof value === 'string') return value;
    throw new LvmsyncError('sourceUnfit', `lvs: its report has no ${field}`);
  };
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

async function describeThick(
  volume: Volume,
  volumes: readonly Volume[],
  run: RunCommand,
): Promise<ThickSnapshot> {
  const origin = volumes.find(({ uuid }) => uuid === volume.origin?.uuid);
  if (origin === undefined) throw unfit(volume, 'its origin is not in the volume group');
  if (origin.segmentType === 'zero') {
    throw unfit(volume, 'a sparse volume: its origin is virtual and holds no data');
  }
  await refuseMerge(volume, origin, run);
  if (volume.deviceNumber === undefined) {
    throw unfit(volume, 'not active here', `Activate it: lvchange -ay ${fullName(origin)}.`);
  }
  if (volume.invalid) throw unfit(volume, FAULTS.Invalid);
  const target = await readSnapshotTarget(volume, run);
  refuseContradiction(volume, [
    { what: 'origin', by: 'lvs', value: origin.lvName },
    { what: 'chunk size', by: 'lvs', value: volume.chunkSize },
    { what: 'size at the snapshot', by: 'lvs', value: volume.originSize },
    ...snapshotMetadataClaims(volume, await readMetadata(volume.vgName, run)),
    { what: 'chunk size', by: 'kernel', value: target.chunkSizeSectors * SECTOR_SIZE },
    { what: 'size at the snapshot', by: 'kernel', value: target.length * SECTOR_SIZE },
    ...(await deviceClaims(volume, origin, { target, run })),
  ]);
  const snapshot: ThickSnapshot = {
    kind: 'thick',
    vgName: volume.vgName,
    lvName: volume.lvName,
    uuid: volume.uuid,
    dmName: formatDeviceName(volume),
    snapshotPath: volume.path,
    cowPath: `${volume.path}-cow`,
    chunkSize: target.chunkSizeSectors * SECTOR_SIZE,
    origin: { lvName: origin.lvName, uuid: origin.uuid, size: origin.size, path: origin.path },
    originSizeAtSnapshot: target.length * SECTOR_SIZE,
  };
  await readSnapshotStatus(snapshot, run);
  return snapshot;
}

function notSnapshotTarget(targets: readonly { readonly type: string }[]): string {
  const types = targets.map(({ type }) => type).join(', ');
  return `the kernel has "${types}" in its place, not one snapshot`;
}

/** Merging empties the list while it changes the origin; a scheduled merge may begin at any moment. */
async function refuseMerge(volume: Volume, origin: Volume, run: RunCommand): Promise<void> {
  const hint = `After the merge ${fullName(origin)} has its former content and this snapshot is gone.`;
  if (volume.mergeFailed) throw unfit(volume, FAULTS['Merge failed']);
  if (!volume.merging) return;
  const isWaiting =
    origin.deviceNumber === undefined ||
    (await readTargets(origin, run)).some(({ type }) => type === 'snapshot-origin');
  if (isWaiting) throw unfit(volume, `its merge into ${fullName(origin)} is scheduled`, hint);
  throw unfit(volume, `being merged into ${fullName(origin)}`, hint);
}

type SnapshotTarget = TargetPlace & Extract<TableTarget, { type: 'snapshot' | 'snapshot-merge' }>;

async function readSnapshotTarget(volume: Volume, run: RunCommand): Promise<SnapshotTarget> {
  const targets = await readTargets(volume, run);
  const [target] = targets;
  if (target?.type !== 'snapshot' || targets.length > 1) {
    throw unfit(volume, notSnapshotTarget(targets));
  }
  if (!target.store.startsWith('P')) throw unfit(volume, FAULTS.Unknown);
  return target;
}

async function readTargets(
  volume: VolumeName,
  run: RunCommand,
): Promise<readonly (TargetPlace & TableTarget)[]> {
  const { stdout } = await run(['dmsetup', 'table', '--', formatDeviceName(volume)], UNFIT);
  return parseTable(stdout);
}

/** The group's section of vgcfgbackup's text, which exists only while this runs and for us alone. */
async function readMetadata(vgName: string, run: RunCommand): Promise<ConfigSection> {
  const folder = await mkdtemp(join(tmpdir(), 'lvmsync-'));
  try {
    const file = join(folder, 'metadata');
    // vgcfgbackup takes the name as a printf template.
    await run(['vgcfgbackup', '-f', file.replaceAll('%', '%%'), '--', vgName], UNFIT);
    const group = findSection(parseLvmConfig(await readFile(file, 'utf8')), vgName);
    if (group !== undefined) return group;
    throw new LvmsyncError('sourceUnfit', `vgcfgbackup: no section "${vgName}" in its text`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What one witness says about one property. */
interface Claim {
  readonly what: string;
  readonly by: string;
  readonly value: string | number | undefined;
}

/** The segment of type "snapshot" is in a hidden volume of its own and names the COW store. */
function snapshotMetadataClaims(volume: Volume, group: ConfigSection): readonly Claim[] {
  const volumes = findSection(group, 'logical_volumes')?.sections.values() ?? [];
  const segment = [...volumes]
    .map((entry) => findSection(entry, 'segment1'))
    .find((found) => found && findString(found, 'cow_store') === volume.lvName);
  const by = 'metadata';
  if (segment === undefined) return [{ what: 'origin', by, value: undefined }];
  const extents = findInteger(segment, 'extent_count') ?? 0;
  const extentSize = (findInteger(group, 'extent_size') ?? 0) * SECTOR_SIZE;
  const chunkSize = (findInteger(segment, 'chunk_size') ?? 0) * SECTOR_SIZE;
  return [
    { what: 'origin', by, value: findString(segment, 'origin') },
    { what: 'chunk size', by, value: chunkSize },
    { what: 'size at the snapshot', by, value: extents * extentSize },
  ];
}

/** That the nodes with the names we go by are the devices which the kernel's snapshot is made of. */
async function deviceClaims(
  volume: Volume,
  origin: Volume,
  { target, run }: { readonly target: SnapshotTarget; readonly run: RunCommand },
): Promise<readonly Claim[]> {
  const names = [volume, { ...volume, layer: 'cow' }, { ...origin, layer: 'real' }].map(
    formatDeviceName,
  );
  const columns = ['-c', '--noheadings', '--separator', ' ', '-o', 'name,major,minor,uuid'];
  const { stdout } = await run(['dmsetup', 'info', ...columns, '--', ...names], UNFIT);
  const info = parseInfo(stdout);
  const [own, cow, real] = names.map((name) => info.get(name));
  const uuid = `LVM-${bare(volume.vgUuid)}${bare(volume.uuid)}`;
  return [
    { what: 'device', by: 'lvs', value: volume.deviceNumber },
    { what: 'device', by: 'kernel', value: own?.number },
    { what: 'uuid', by: 'lvs', value: uuid },
    { what: 'uuid', by: 'kernel', value: own?.uuid },
    { what: 'COW store', by: 'its table', value: target.cow },
    { what: 'COW store', by: 'its name', value: cow?.number },
    { what: 'origin device', by: 'its table', value: target.origin },
    { what: 'origin device', by: 'its name', value: real?.number },
  ];
}

function refuseContradiction(volume: Volume, claims: readonly Claim[]): void {
  for (const { what } of claims) {
    const said = claims.filter((claim) => claim.what === what);
    if (new Set(said.map(({ value }) => value)).size === 1) continue;
    const words = said.map(({ by, value }) => `${by}: ${value ?? 'nothing'}`).join(', ');
    throw unfit(
      volume,
      `LVM and the kernel disagree about its ${what} (${words})`,
      'Another LVM command may be at work: try again when it has ended.',
    );
  }
}

async function describeThin(
  volume: Volume,
  volumes: readonly Volume[],
  run: RunCommand,
): Promise<ThinVolume> {
  const { vgName, lvName, uuid, path, size, poolName, thinId } = volume;
  if (volume.merging) throw unfit(volume, 'a merge is scheduled or running');
  const group = await readMetadata(vgName, run);
  const segment = findSection(group, 'logical_volumes', lvName, 'segment1');
  const text = (key: string) => segment && findString(segment, key);
  refuseContradiction(volume, [
    { what: 'pool', by: 'lvs', value: poolName },
    { what: 'pool', by: 'metadata', value: text('thin_pool') },
    { what: 'origin', by: 'lvs', value: volume.origin?.lvName },
    { what: 'origin', by: 'metadata', value: text('origin') ?? text('external_origin') },
    { what: 'thin id', by: 'lvs', value: thinId },
    { what: 'thin id', by: 'metadata', value: segment && findInteger(segment, 'device_id') },
    ...(await thinKernelClaims(volume, run)),
  ]);
  if (thinId === undefined) throw unfit(volume, 'its pool knows no id of it');
  const reference = (key: string) => {
    const found = volumes.find((other) => other.lvName === text(key));
    return found && { lvName: found.lvName, uuid: found.uuid };
  };
  const origin = reference('origin');
  const externalOrigin = reference('external_origin');
  return {
    kind: 'thin',
    ...{ vgName, lvName, uuid, path, size, poolName, thinId },
    dmName: formatDeviceName(volume),
    active: volume.deviceNumber !== undefined,
    ...(origin === undefined ? {} : { origin }),
    ...(externalOrigin === undefined ? {} : { externalOrigin }),
  };
}

/** With thick snapshots on it, the thin target is in the volume's "real" layer. */
async function thinKernelClaims(volume: Volume, run: RunCommand): Promise<readonly Claim[]> {
  if (volume.deviceNumber === undefined) return [];
  let [target] = await readTargets(volume, run);
  if (target?.type === 'snapshot-origin') {
    [target] = await readTargets({ ...volume, layer: 'real' }, run);
  }
  const value = target?.type === 'thin' ? target.deviceId : undefined;
  return [{ what: 'thin id', by: 'kernel', value }];
}
