/** The label that makes a device a physical volume of LVM. Pure. */

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
export function physicalVolumeUuid(head: Uint8Array): string | undefined {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
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
