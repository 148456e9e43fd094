/** A list of changes as text, a piece for each stretch. docs/json.md has the forms. Pure. */

import { formatObject } from '../../base/json-object.js';
import { VERSION } from '../../base/version.js';
import type { Stretch } from '../../device/stretches.js';
import type { ListedVolume, Source } from '../../source/source.js';

/** Of the document; a member that is new does not change it. */
const FORMAT_VERSION = 1;

/** What is known before the first stretch, as the document has it. */
export interface ListHead {
  readonly version: number;
  readonly program: string;
  readonly listedAt: string;
  readonly device: string;
  /** Bytes, these and all that follow. */
  readonly deviceSize: number;
  readonly chunkSize: number;
  readonly from: HeadVolume | null;
  readonly to: HeadVolume | null;
  readonly dataBytes: number;
  readonly zeroBytes: number;
}

interface HeadVolume {
  readonly name: string;
  readonly uuid: string;
  readonly createdAt: string | null;
}

type ListedSource = Pick<Source, 'extents' | 'zeros' | 'chunkSize' | 'volumes'> & {
  readonly device: Pick<Source['device'], 'path' | 'size'>;
};

export function headOf(source: ListedSource, listedAt: Date): ListHead {
  const { device, extents, zeros, chunkSize, volumes } = source;
  return {
    version: FORMAT_VERSION,
    program: `lvmsync ${VERSION}`,
    listedAt: listedAt.toISOString(),
    device: device.path,
    deviceSize: device.size,
    chunkSize,
    from: volumes === undefined ? null : headVolume(volumes.from),
    to: volumes === undefined ? null : headVolume(volumes.to),
    dataBytes: extents.totalBytes - zeros.totalBytes,
    zeroBytes: zeros.totalBytes,
  };
}

function headVolume({ name, uuid, createdAt }: ListedVolume): HeadVolume {
  const time = createdAt === undefined ? null : new Date(createdAt * 1000).toISOString();
  return { name, uuid, createdAt: time };
}

/** `OFFSET LENGTH KIND` */
export function* linePieces(stretches: Iterable<Stretch>): Generator<string, void> {
  for (const { offset, length, kind } of stretches) yield `${offset} ${length} ${kind}\n`;
}

/** One document; each extent is on a line of its own, for those who read it by lines. */
export function* jsonPieces(head: ListHead, stretches: Iterable<Stretch>): Generator<string, void> {
  yield `${formatObject(head).replace(/\}\n$/, '')},"extents":[`;
  let separator = '\n';
  for (const { offset, length, kind } of stretches) {
    yield `${separator}{"offset":${offset},"length":${length},"kind":"${kind}"}`;
    separator = ',\n';
  }
  yield '\n]}\n';
}
