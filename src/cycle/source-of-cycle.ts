/** Whether a destination is the volume that a cycle copies: VOLUME and DESTINATION were turned round then. */

import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import type { FileDevice } from '../device/block-device.js';
import { CommandError, type RunCommand } from '../host/subprocess.js';
import { readLine } from '../host/virtual-files.js';
import { bareUuid, parseDeviceName, parseDeviceUuid } from '../lvm/device-name.js';
import { askHost } from '../lvm/host-tools.js';
import { listTaggedVolumes } from '../lvm/lvs-report.js';
import { fullName } from '../lvm/unfit-volume.js';
import type { Reporter } from '../run/reporter.js';
import { CYCLE_TAG } from './names.js';

/** Throws (destinationUnfit) for the origin of a snapshot that a cycle made. Where LVM cannot tell, it goes on. */
export async function refuseSourceOfCycle(
  { path, info }: Pick<FileDevice, 'path' | 'info'>,
  reporter: Pick<Reporter, 'warn'>,
  run: RunCommand = askHost,
): Promise<void> {
  if (!info.blockDevice) return;
  const folder = `/sys/dev/block/${info.major}:${info.minor}/dm`;
  const name = parseDeviceName(readLine(`${folder}/name`) ?? '');
  const uuid = parseDeviceUuid(readLine(`${folder}/uuid`) ?? '');
  if (name === undefined || uuid === undefined) return;
  const volumes = await listTaggedVolumes(name.vgName, run).catch((error: unknown) => {
    if (!(error instanceof CommandError)) throw error;
    // A container may have the device without LVM, or without its volume groups.
    if (error.status !== undefined) {
      reporter.warn(
        `${path}: LVM cannot be asked whether it is the VOLUME of a cycle; assuming that it is not (${error.message})`,
      );
    }
    return [];
  });
  const snapshot = volumes.find(
    ({ tags, origin }) =>
      tags.includes(CYCLE_TAG) && origin !== undefined && bareUuid(origin.uuid) === uuid.lvUuid,
  );
  if (snapshot === undefined) return;
  throw new LvmsyncError(
    'destinationUnfit',
    `${path}: it is the VOLUME of a cycle, which made its snapshot ${fullName(snapshot)}: a full copy would overwrite it`,
    {
      ...UNTOUCHED,
      hint: 'Are VOLUME and DESTINATION the wrong way round? If this volume is to become a copy now, end its cycle first: "lvmsync cycle --end", or "lvmsync cycle --end --serve" if it is fetched. Where a copy is copied further on purpose, use --force.',
    },
  );
}
