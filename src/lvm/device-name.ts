/**
 * The names and uuids that LVM gives its devices in the kernel (device-mapper), and back. Text in,
 * values out.
 */

export interface VolumeName {
  readonly vgName: string;
  readonly lvName: string;
  /** An internal device of the volume: "cow", "real", "tpool"; absent for the volume itself. */
  readonly layer?: string | undefined;
}

/** The device-mapper name LVM gives a volume: hyphens inside a part are doubled, parts joined by one. */
export function formatDeviceName({ vgName, lvName, layer }: VolumeName): string {
  const parts = layer === undefined ? [vgName, lvName] : [vgName, lvName, layer];
  return parts.map((part) => part.replaceAll('-', '--')).join('-');
}

/**
 * The inverse. Pairs of hyphens are taken from the left, as LVM takes them; that is exact because no
 * part begins with a hyphen. Undefined: not a name that LVM makes.
 */
export function parseDeviceName(name: string): VolumeName | undefined {
  const parts = name
    .replaceAll('--', '/')
    .split('-')
    .map((part) => part.replaceAll('/', '-'));
  if (parts.length > 3 || name.includes('/') || parts.some((part) => part === '')) return undefined;
  const [vgName, lvName, layer] = parts;
  if (vgName === undefined || lvName === undefined) return undefined;
  return { vgName, lvName, layer };
}

export interface LvmDeviceUuid {
  /** Without hyphens, 32 characters, as the kernel holds them. */
  readonly vgUuid: string;
  readonly lvUuid: string;
  readonly layer?: string | undefined;
}

/** The parts of a device-mapper uuid that LVM made; undefined: another program's device. */
export function parseDeviceUuid(uuid: string): LvmDeviceUuid | undefined {
  const match = /^LVM-([\w!#]{32})([\w!#]{32})(?:-(\w+))?$/.exec(uuid);
  const [, vgUuid, lvUuid, layer] = match ?? [];
  return vgUuid === undefined || lvUuid === undefined ? undefined : { vgUuid, lvUuid, layer };
}

/** LVM writes uuids with hyphens, the kernel holds them without. */
export function bareUuid(uuid: string): string {
  return uuid.replaceAll('-', '');
}
