/**
 * The kind of a device or file by its first bytes, where raw data over it is hardly ever meant: a physical
 * volume of LVM, or an image that is not raw. Only a copy of what begins alike may begin so.
 */

import { type FileDevice, SlabPool } from './block-device.js';

const HEAD_SIZE = 4096;
/** The slab has room for the head wherever alignment puts it. */
const HEAD_SLAB_SIZE = 2 * HEAD_SIZE;

/** Undefined for anything else. Throws what a read of the device throws. */
export async function headKindOf(device: FileDevice): Promise<string | undefined> {
  const length = Math.min(HEAD_SIZE, device.size);
  if (length === 0) return undefined;
  const slab = await new SlabPool(1, HEAD_SLAB_SIZE).lease();
  await device.readBatch(slab, Float64Array.of(0, length, 0));
  return headKind(new Uint8Array(slab, 0, length));
}

/** Those of several devices, each once. */
export async function headKindsOf(devices: readonly FileDevice[]): Promise<readonly string[]> {
  const kinds = new Set<string>();
  for (const device of devices) {
    const kind = await headKindOf(device);
    if (kind !== undefined) kinds.add(kind);
  }
  return [...kinds];
}

const PHYSICAL_VOLUME = 'lvm2-pv ';

/** `lvm2-pv UUID`, or the name of an image format. `head`: the first 4096 bytes, or all there are. Pure. */
export function headKind(head: Uint8Array): string | undefined {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  const uuid = physicalVolumeUuid(bytes);
  if (uuid !== undefined) return PHYSICAL_VOLUME + uuid;
  return FORMATS.find(({ at, magic }) => {
    return bytes.subarray(at, at + magic.length).equals(Buffer.from(magic, 'latin1'));
  })?.name;
}

/** Reads on after "is". */
export function describeHeadKind(kind: string): string {
  if (!kind.startsWith(PHYSICAL_VOLUME)) return `a ${kind} image, which raw data would destroy`;
  return `labelled as an LVM physical volume (${kind.slice(PHYSICAL_VOLUME.length)})`;
}

/**
 * By what they begin with: QEMU docs/interop/qcow2 and qed, the VMDK and VHDX specifications (the descriptor file of
 * VMDK, too), the VHD specification (a dynamic disk begins with a copy of its footer), VirtualBox VDICore.h.
 */
const FORMATS: readonly { readonly name: string; readonly at: number; readonly magic: string }[] = [
  { name: 'qcow2', at: 0, magic: 'QFI\xfb' },
  { name: 'QED', at: 0, magic: 'QED\0' },
  { name: 'VMDK', at: 0, magic: 'KDMV' },
  { name: 'VMDK', at: 0, magic: 'COWD' },
  { name: 'VMDK', at: 0, magic: '# Disk DescriptorFile' },
  { name: 'VHDX', at: 0, magic: 'vhdxfile' },
  { name: 'VHD', at: 0, magic: 'conectix' },
  { name: 'VDI', at: 64, magic: '\x7f\x10\xda\xbe' },
];

const SECTOR = 512;
const LABEL_SECTORS = 4;
const UUID_LENGTH = 32;
/** How LVM prints an id. */
const UUID_GROUPS = /^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})(.{6})$/;

/**
 * The uuid in the LVM2 label within the first four sectors; undefined where there is no label. A label
 * whose checksum is wrong counts too: better one question too many.
 *
 * Label header (LVM2 lib/format_text/layout.h, lib/label/label.h): "LABELONE", u64 sector, u32 crc,
 * u32 offset of the contents, "LVM2 001"; the contents begin with the uuid, 32 characters.
 */
function physicalVolumeUuid(bytes: Buffer): string | undefined {
  for (let start = 0; start < LABEL_SECTORS * SECTOR; start += SECTOR) {
    const sector = bytes.subarray(start, start + SECTOR);
    if (sector.length < SECTOR) return undefined;
    if (sector.toString('latin1', 0, 8) !== 'LABELONE') continue;
    if (sector.toString('latin1', 24, 32) !== 'LVM2 001') continue;
    const contents = sector.readUInt32LE(20);
    return formatUuid(sector.toString('latin1', contents, contents + UUID_LENGTH));
  }
  return undefined;
}

/** A damaged uuid may hold anything: it is shown as hex. */
function formatUuid(raw: string): string {
  const groups = /^[\w!#]+$/.test(raw) ? UUID_GROUPS.exec(raw) : null;
  return groups === null ? Buffer.from(raw, 'latin1').toString('hex') : groups.slice(1).join('-');
}
