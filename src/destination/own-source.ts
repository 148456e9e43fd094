/**
 * A receiver that a sender of the same machine started, as with `localhost:/dev/vg/lv`: what the sender
 * reads must not be written here any more than in a local run.
 */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { SourceMember } from '../device/relation.js';
import { readLine } from '../host/virtual-files.js';
import { bareUuid, parseDeviceUuid } from '../lvm/device-name.js';
import type { Hello } from '../stream/control-frame.js';
import { machineIdentity } from '../stream/device-facts.js';

const ROLE = 'the source volume on this same machine';
const BLOCK_DEVICES = '/sys/block';

/** The active volumes of this machine that the sender of this stream reads. */
export async function ownSource(hello: Hello | undefined): Promise<readonly SourceMember[]> {
  // A stored stream may go back to where it came from, to restore it.
  if (hello?.kind !== 'wire') return [];
  const { machineId, deviceIdentity, fromPoint, toPoint } = hello.attributes;
  if (machineId === undefined || machineId !== (await machineIdentity())) return [];
  const read = new Set([deviceIdentity, fromPoint, toPoint].map(volumeUuid));
  return readdirSync(BLOCK_DEVICES).flatMap((name): SourceMember[] => {
    const uuid = readLine(join(BLOCK_DEVICES, name, 'dm/uuid'));
    const device = readLine(join(BLOCK_DEVICES, name, 'dev'));
    const volume = uuid === undefined ? undefined : parseDeviceUuid(uuid);
    if (device === undefined || volume === undefined || volume.layer !== undefined) return [];
    return read.has(volume.lvUuid) ? [{ identity: { kind: 'block', device }, role: ROLE }] : [];
  });
}

/** The uuid of a volume, as LVM prints it, or from one that device-mapper holds for a volume or a layer of it. */
function volumeUuid(identity: string | undefined): string | undefined {
  if (identity === undefined) return undefined;
  return parseDeviceUuid(identity)?.lvUuid ?? bareUuid(identity);
}
