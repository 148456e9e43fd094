/** Whole runs for campaigns in which their system calls fail: what they need, and what must hold afterwards. */

import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { type ExitName, LvmsyncError } from '../../../src/base/errors.js';
import { type ExtentList, PAGE } from '../../../src/device/extent.js';
import { native } from '../../../src/host/native.js';
import { Differences } from '../../../src/pipeline/compare.js';
import { randomGroups, type Shape } from '../devices/change-shapes.js';
import { MemoryDevice } from '../devices/memory-device.js';
import type { Random } from '../random.js';
import { applyToMemory } from '../streams/apply-stream.js';
import { applyFile, compareFiles, dumpTo, syncFiles } from '../streams/file-pipelines.js';
import { framedStream } from '../streams/stream-parts.js';

export interface Scenario {
  readonly name: string;
  /** Puts everything back to where it begins. */
  prepare(): void;
  run(): Promise<void>;
  /** The status of a failure of each file; undefined: the addon's own error, which the caller words. */
  readonly codes: ReadonlyMap<string, ExitName | undefined>;
  /** After a run that ended well. */
  verifyDone(): Promise<void>;
  /** After one that failed. */
  verifyFailed(): Promise<void>;
}

/** Overwrites the file in place, which is much cheaper than making it anew. */
export function setContent(path: string, content: Buffer): void {
  const fd = openSync(path, existsSync(path) ? 'r+' : 'w');
  try {
    writeSync(fd, content, 0, content.length, 0);
  } finally {
    closeSync(fd);
  }
}

/** Where the files of scenarios are; each scenario has names of its own. */
export class Scenarios {
  readonly #folder: string;
  #count = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  sync(shape: Shape): Scenario {
    const { extents, content, former } = shape;
    const [source, destination, snapback] = this.#paths('source', 'destination', 'snapback');
    setContent(source, content);
    return {
      name: `local sync of ${extents.count} extents`,
      ...undoable({ destination, snapback, content, former }),
      run: () => syncFiles({ source, extents, destination, snapback }),
      codes: new Map([
        [source, 'sourceRead'],
        [destination, 'destinationWrite'],
        [snapback, 'snapback'],
      ]),
    };
  }

  async apply(random: Random, shape: Shape): Promise<Scenario> {
    const { content, former, size } = shape;
    const [stream, destination, snapback] = this.#paths('stream', 'destination', 'snapback');
    const groups = randomGroups(random, shape, 6000);
    await framedStream(stream, { deviceSize: size, groups });
    return {
      name: `apply of ${groups.length} groups`,
      ...undoable({ destination, snapback, content, former }),
      run: () => applyFile({ stream, destination, snapback }),
      codes: new Map([
        [stream, 'streamTruncated'],
        [destination, 'destinationWrite'],
        [snapback, 'snapback'],
      ]),
    };
  }

  /** Applying the snapback of a run that was cut off while it appended a group it had not used yet. */
  async rollback(random: Random, shape: Shape): Promise<Scenario> {
    const { size, former, content } = shape;
    const [snapback, destination] = this.#paths('snapback', 'destination');
    const saved = randomGroups(random, { ...shape, content: former }, 6000);
    const unused = [{ offset: shape.extents.pairs[0] ?? 0, data: Buffer.alloc(100, 'unused') }];
    const spec = { kind: 'snapback', deviceSize: size, ending: 'none' } as const;
    const whole = await framedStream(snapback, { ...spec, groups: [...saved, unused] });
    // Half of the group that was never used, and of what closes it.
    rmSync(snapback);
    setContent(snapback, whole.subarray(0, whole.length - 200));
    const right = async (): Promise<void> =>
      assertSame(readFileSync(destination), former, 'undone');
    const run = (): Promise<void> =>
      applyFile({ stream: snapback, destination, snapback: undefined });
    return {
      name: `rollback of ${saved.length} groups`,
      prepare: () => setContent(destination, content),
      run,
      codes: new Map([
        [snapback, 'streamTruncated'],
        [destination, 'destinationWrite'],
      ]),
      verifyDone: right,
      verifyFailed: async () => {
        await run();
        await right();
      },
    };
  }

  /** What differs is told to the page, or a failure: never is anything called equal that was not read. */
  compare({ extents, content, former }: Shape): Scenario {
    const [source, destination] = this.#paths('source', 'destination');
    setContent(source, content);
    setContent(destination, former);
    const expected = new Differences();
    for (const [at, length] of pagesOf(extents)) {
      const end = at + length;
      if (content.compare(former, at, end, at, end) !== 0) expected.add(at, length);
    }
    let found = new Differences();
    return {
      name: `comparison of ${extents.count} extents`,
      prepare: () => {
        found = new Differences();
      },
      run: () => compareFiles({ source, extents, destination }, found),
      codes: new Map([
        [source, 'sourceRead'],
        [destination, 'destinationWrite'],
      ]),
      verifyDone: async () => assert.deepEqual(found.first(1000), expected.first(1000)),
      verifyFailed: async () => undefined,
    };
  }

  dumpToFile(shape: Shape): Scenario {
    const [source, stream] = this.#paths('source', 'stream');
    const { extents } = shape;
    setContent(source, shape.content);
    return {
      name: `dump of ${extents.count} extents to a file`,
      prepare: () => rmSync(stream, { force: true }),
      run: async () => {
        const fd = openSync(stream, 'w');
        await dumpTo(fd, { source, extents, flush: true }).finally(() => closeSync(fd));
      },
      codes: new Map([
        [source, 'sourceRead'],
        [stream, undefined],
      ]),
      ...readable(stream, shape),
    };
  }

  /** The pipe holds the whole stream, which is read when the run has ended. */
  dumpToPipe(shape: Shape): Scenario {
    const [source, stream] = this.#paths('source', 'stream');
    const { extents } = shape;
    setContent(source, shape.content);
    const codes = new Map<string, ExitName | undefined>([[source, 'sourceRead']]);
    return {
      name: `dump of ${extents.count} extents to a pipe`,
      prepare: () => rmSync(stream, { force: true }),
      run: async () => {
        const { readFd, writeFd } = native.makePipe('ours');
        try {
          await dumpTo(writeFd, { source, extents, flush: false });
        } finally {
          closeSync(writeFd);
          setContent(stream, drain(readFd));
          closeSync(readFd);
        }
      },
      codes,
      ...readable(stream, shape),
    };
  }

  #paths<const Names extends readonly string[]>(
    ...names: Names
  ): { readonly [Index in keyof Names]: string } {
    const number = this.#count++;
    return names.map((name) => join(this.#folder, `${number}-${name}`)) as {
      [Index in keyof Names]: string;
    };
  }
}

function* pagesOf({ pairs }: ExtentList): Generator<readonly [offset: number, length: number]> {
  for (let i = 0; i < pairs.length; i += 2) {
    const [start = 0, length = 0] = pairs.subarray(i);
    for (let at = start; at < start + length; ) {
      const end = Math.min(start + length, at - (at % PAGE) + PAGE);
      yield [at, end - at];
      at = end;
    }
  }
}

function drain(fd: number): Buffer {
  const parts: Buffer[] = [];
  for (;;) {
    const part = Buffer.alloc(1 << 20);
    const count = readSync(fd, part);
    if (count === 0) return Buffer.concat(parts);
    parts.push(part.subarray(0, count));
  }
}

interface Undoable {
  readonly destination: string;
  readonly snapback: string;
  readonly content: Buffer;
  readonly former: Buffer;
}

/** A destination with a snapback: whatever happened, what it held before can be had again. */
function undoable(files: Undoable): Pick<Scenario, 'prepare' | 'verifyDone' | 'verifyFailed'> {
  const { destination, snapback, content, former } = files;
  return {
    prepare: () => {
      setContent(destination, former);
      rmSync(snapback, { force: true });
    },
    verifyDone: async () => {
      assertSame(readFileSync(destination), content, 'the destination after a run that ended well');
      await applyFile({ stream: snapback, destination, snapback: undefined });
      assertSame(readFileSync(destination), former, 'the destination brought back');
    },
    verifyFailed: async () => {
      if (existsSync(snapback)) {
        await applyFile({ stream: snapback, destination, snapback: undefined }).catch(isRefusal);
      }
      assertSame(readFileSync(destination), former, 'the destination after a failure, undone');
    },
  };
}

/** A stream that is either read as all that it should say, or refused. */
function readable(
  stream: string,
  { former, content }: Shape,
): Pick<Scenario, 'verifyDone' | 'verifyFailed'> {
  const read = () => applyToMemory(stream, new MemoryDevice(Buffer.from(former)));
  return {
    verifyDone: async () => {
      const { destination, error } = await read();
      if (error !== undefined) throw error;
      assertSame(destination.content, content, 'what the stream says');
    },
    verifyFailed: async () => {
      const { destination, error, form } = await read();
      if (error !== undefined) isRefusal(error);
      // A handshake alone is refused before anything is applied, as a file that says nothing.
      else if (form?.form !== 'classic' || !form.empty) {
        assertSame(destination.content, content, 'what the stream of a failed run says');
      }
    },
  };
}

/** Of a stream or snapback that holds nothing to be used. Throws anything else. */
function isRefusal(error: unknown): void {
  const refused = error instanceof LvmsyncError && /^stream/.test(error.code);
  if (!refused) throw error;
}

function assertSame(actual: Buffer, wanted: Buffer, what: string): void {
  if (actual.equals(wanted)) return;
  const at = actual.findIndex((byte, index) => byte !== wanted[index]);
  assert.fail(`${what} differs at byte ${at} (sizes ${actual.length}, ${wanted.length})`);
}
