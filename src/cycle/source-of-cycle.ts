/** Whether a destination is the volume that a cycle copies: VOLUME and DESTINATION were turned round then. */

import { LvmsyncError, UNTOUCHED } from '../base/errors.js';
import type { FileDevice } from '../device/block-device.js';
import { CommandError, type RunCommand } from '../host/subprocess.js';
import { askHost } from '../lvm/host-tools.js';
import { listTaggedVolumes } from '../lvm/lvs-report.js';
import { fullName } from '../lvm/unfit-volume.js';
import { stableIdentity } from '../stream/device-facts.js';
import { CYCLE_TAG } from './names.js';

/** device-mapper's uuid of a logical volume: this, then LVM's uuids of group and volume without their hyphens. */
const LVM_UUID = /^LVM-\w{32}(\w{32})$/;

/** Throws (destinationUnfit) for the origin of a snapshot that a cycle made, and what lvs throws where it cannot tell. */
export async function refuseSourceOfCycle(
  device: FileDevice,
  run: RunCommand = askHost,
): Promise<void> {
  const [, uuid] = LVM_UUID.exec((await stableIdentity(device)) ?? '') ?? [];
  if (uuid === undefined) return;
  const volumes = await listTaggedVolumes(undefined, run).catch((error: unknown) => {
    if (!(error instanceof CommandError)) throw error;
    throw new LvmsyncError(
      'destinationUnfit',
      `${device.path}: whether it is the source of a cycle could not be found out: ${error.message}`,
      { ...UNTOUCHED, cause: error },
    );
  });
  const snapshot = volumes.find(
    ({ tags, origin }) => tags.includes(CYCLE_TAG) && origin?.uuid.replaceAll('-', '') === uuid,
  );
  if (snapshot === undefined) return;
  throw new LvmsyncError(
    'destinationUnfit',
    `${device.path}: it is the VOLUME of a cycle, which made its snapshot ${fullName(snapshot)}: a full copy would overwrite it`,
    {
      ...UNTOUCHED,
      hint: 'Are VOLUME and DESTINATION the wrong way round? If this volume is to become a copy now, end its cycle first: "lvmsync cycle --end".',
    },
  );
}
