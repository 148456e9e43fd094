/**
 * `node GARBLE KIND AT`: passes standard input on, but for one fault at byte AT: a bit is flipped, the byte
 * is dropped or doubled, or nothing more comes.
 */

const [kind = '', place = ''] = process.argv.slice(2);
const at = Number(place);
let passed = 0;

function garbled(bytes: Buffer): Buffer {
  const here = at - passed;
  if (here < 0 || here >= bytes.length) return kind === 'cut' && here < 0 ? Buffer.alloc(0) : bytes;
  const before = bytes.subarray(0, here);
  const after = bytes.subarray(here + 1);
  const byte = bytes[here] ?? 0;
  switch (kind) {
    case 'flip':
      return Buffer.concat([before, Uint8Array.of(byte ^ (1 << (at % 8))), after]);
    case 'drop':
      return Buffer.concat([before, after]);
    case 'double':
      return Buffer.concat([before, Uint8Array.of(byte, byte), after]);
    default:
      return before;
  }
}

for await (const bytes of process.stdin as AsyncIterable<Buffer>) {
  process.stdout.write(garbled(bytes));
  passed += bytes.length;
}
