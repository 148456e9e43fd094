/** Whether a snapshot could be read now, without reading its list of changes. */

import { LvmsyncError } from '../../base/errors.js';
import { humanSize } from '../../base/text.js';
import type { FileDevice } from '../../device/block-device.js';
import { headKindsOf } from '../../device/head-kind.js';
import { OpenDevices } from '../../device/open-devices.js';
import type { SourceMember } from '../../device/relation.js';
import { findSnapshot } from '../../lvm/find-volume.js';
import { type Store, whenNearlyFull } from '../../lvm/store-status.js';
import type { ThickSnapshot } from '../../lvm/thick-snapshot.js';
import { findThinPool } from '../../lvm/thin-pool.js';
import type { ThinVolume } from '../../lvm/thin-volume.js';
import { fullName } from '../../lvm/unfit-volume.js';
import type { Fill } from '../../run/progress.js';
import type { Reporter } from '../../run/reporter.js';
import { readFillsOf } from '../../source/store-guard.js';
import { type Diagnosis, failureOf } from './report.js';

export interface SourceFindings {
  readonly diagnoses: readonly Diagnosis[];
  /** Undefined where it is unknown. */
  readonly kind: 'thick' | 'thin' | undefined;
  /** Bytes, of the whole source; undefined where it is unknown. */
  readonly size: number | undefined;
  /** Bytes that a copy has to hold already; undefined where it is unknown. */
  readonly copySize: number | undefined;
  readonly members: readonly SourceMember[];
  /** See InspectedSource. */
  readonly headKinds: readonly string[] | 'unknown';
}

const SUBJECT = 'source';

export async function examineSource(subject: string, reporter: Reporter): Promise<SourceFindings> {
  const opened = new OpenDevices(reporter);
  let kind: SourceFindings['kind'];
  try {
    const volume = await findSnapshot(subject);
    kind = volume.kind;
    const found =
      volume.kind === 'thick'
        ? await examineThick(volume, opened)
        : await examineThin(volume, opened);
    const fills = await readFillsOf([found.store]);
    const { device, views, members, what, copySize } = found;
    const text = `${fullName(volume)}, ${what}; ${device.path} is read, ${humanSize(device.size)}`;
    const diagnoses = [
      { level: 'ok', subject: SUBJECT, text, size: device.size } as const,
      ...fills.map(judgeFill),
      ...judgeDirect(device),
    ];
    const headKinds = await headKindsOf(views);
    return { kind, size: device.size, copySize, members, headKinds, diagnoses };
  } catch (error) {
    if (!(error instanceof LvmsyncError)) throw error;
    const diagnoses = [failureOf(SUBJECT, error)];
    const unknown = { size: undefined, copySize: undefined, headKinds: 'unknown' } as const;
    return { kind, ...unknown, members: [], diagnoses };
  } finally {
    await opened.close();
  }
}

interface Examined {
  readonly what: string;
  /** Whose size counts. */
  readonly device: FileDevice;
  /** A copy may begin as any of them. */
  readonly views: readonly FileDevice[];
  readonly copySize: number;
  readonly members: readonly SourceMember[];
  readonly store: Store;
}

async function examineThick(snapshot: ThickSnapshot, opened: OpenDevices): Promise<Examined> {
  const device = await opened.open(snapshot.origin.path, 'source');
  const view = await opened.open(snapshot.snapshotPath, 'source');
  const cowStore = await opened.open(snapshot.cowPath, 'cowStore');
  return {
    what: `a thick snapshot in chunks of ${humanSize(snapshot.chunkSize)}`,
    device,
    views: [device, view],
    copySize: snapshot.originSizeAtSnapshot,
    members: [
      { identity: device.identity, role: 'the origin' },
      { identity: view.identity, role: 'the snapshot' },
      { identity: cowStore.identity, role: 'the COW store of the snapshot' },
    ],
    store: { name: fullName(snapshot), dmUuid: snapshot.dmUuid },
  };
}

/** A snapshot may be inactive: it is its origin that is read. */
async function examineThin(volume: ThinVolume, opened: OpenDevices): Promise<Examined> {
  const store = await findThinPool(volume);
  const path = await pathToRead(volume);
  const device = await opened.open(path, 'source');
  const own = volume.active ? await opened.open(volume.path, 'source') : undefined;
  const { poolName, origin } = volume;
  const since = origin === undefined ? '; it has no origin, so --since is needed' : '';
  return {
    what: `a thin volume of the pool ${poolName}${since}`,
    device,
    views: own === undefined ? [device] : [device, own],
    copySize: volume.size,
    members: [{ identity: device.identity, role: 'the data source' }],
    store,
  };
}

async function pathToRead({ vgName, origin, path }: ThinVolume): Promise<string> {
  if (origin === undefined) return path;
  const read = await findSnapshot(`${vgName}/${origin.lvName}`);
  return read.kind === 'thin' ? read.path : path;
}

export function judgeFill(fill: Fill): Diagnosis {
  const { name, what, percent } = fill;
  const text = `${what} of ${name}: ${percent.toFixed(1)}% full`;
  const found = whenNearlyFull(fill);
  if (found === undefined) return { level: 'ok', subject: 'room', text };
  const remedy = `${found.remedy} --max-cow-use stops a run in time.`;
  return { level: 'warning', subject: 'room', text: `${text}; ${found.threat}`, remedy };
}

function judgeDirect({ path, info: { directError } }: FileDevice): Diagnosis[] {
  if (directError === null) return [];
  const text = `${path} is read through the page cache: O_DIRECT is refused (${directError})`;
  return [{ level: 'warning', subject: SUBJECT, text }];
}
