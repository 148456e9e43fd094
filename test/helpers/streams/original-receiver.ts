/**
 * The receiver of the original lvmsync, in memory, with what it does to damaged input: it trusts every
 * header, takes the end of the input anywhere for the end of the stream, and reports little.
 */

export interface OriginalReceiverInput {
  readonly stream: Buffer;
  /** Left as it is. A file grows, a block device does not. */
  readonly destination: Buffer;
  readonly kind: 'block' | 'file';
}

export interface OriginalReceiverResult {
  readonly status: 0 | 1;
  readonly destination: Buffer;
  /** What `--snapback` leaves in its file. */
  readonly snapback: Buffer;
  /** Records that lie past the end of a block device: it prints a line for each. */
  readonly pastEnd: number;
}

const HANDSHAKE = 'lvmsync PROTO[3]';
const HEADER_SIZE = 12;
const MAX_OFFSET = 2n ** 63n;

export function receiveAsOriginal(input: OriginalReceiverInput): OriginalReceiverResult {
  const { stream, kind } = input;
  let { destination } = input;
  let pastEnd = 0;
  const snapback: Buffer[] = [];
  const result = (status: 0 | 1): OriginalReceiverResult => ({
    status,
    destination,
    snapback: Buffer.concat(snapback),
    pastEnd,
  });

  const newline = stream.indexOf('\n');
  let position = newline < 0 ? stream.length : newline + 1;
  // A line ends in LF, CRLF or CR, or with the input.
  const line = stream.toString('latin1', 0, position).replace(/(\r?\n|\r)$/, '');
  if (line !== HANDSHAKE) return result(1);
  snapback.push(Buffer.from(`${HANDSHAKE}\n`));
  destination = Buffer.from(destination);

  while (position < stream.length) {
    const header = stream.subarray(position, position + HEADER_SIZE);
    position += header.length;
    if (header.length < 8 || header.readBigUInt64BE() >= MAX_OFFSET) return result(1);
    const offset = Number(header.readBigUInt64BE());
    // Without a whole length it reads "all there is", from the input and from the destination.
    const length = header.length < HEADER_SIZE ? Number.POSITIVE_INFINITY : header.readUInt32BE(8);
    const data = stream.subarray(position, position + length);
    position += data.length;
    if (kind === 'block' && offset > destination.length) {
      pastEnd += 1;
      continue;
    }
    snapback.push(header, Buffer.from(destination.subarray(offset, offset + length)));
    const end = offset + data.length;
    if (kind === 'file' && data.length > 0 && end > destination.length) {
      destination = Buffer.concat([destination, Buffer.alloc(end - destination.length)]);
    }
    data.copy(destination, offset);
    if (end > destination.length && data.length > 0) return result(1);
  }
  return result(0);
}
