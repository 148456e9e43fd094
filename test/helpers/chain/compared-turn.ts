/** A turn that the sender of the program brings, with a file as its source. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LvmsyncError } from '../../../src/base/errors.js';
import type { Point } from '../../../src/chain/record.js';
import { parseOptions } from '../../../src/cli/option-grammar.js';
import { toCommand } from '../../../src/cli/parse.js';
import { FileDevice } from '../../../src/device/block-device.js';
import { type ExtentList, NO_EXTENTS } from '../../../src/device/extent.js';
import { WriteWatch } from '../../../src/device/write-watch.js';
import { sendTo } from '../../../src/remote/send.js';
import type { Comparison } from '../../../src/stream/control-frame.js';
import { contextOf } from '../program/in-process.js';
import type { ChainLaboratory } from './chain-laboratory.js';

export interface SentTurn {
  /** Undefined: the chain begins. */
  readonly from: Point | undefined;
  readonly to: Point;
  /** All that the source holds. */
  readonly content: Buffer;
  readonly rsh: string;
  readonly options?: readonly string[];
  readonly compare?: Comparison | undefined;
  /** What is sent, where nothing is compared. */
  readonly extents?: ExtentList;
}

export type ComparedTurn = Omit<SentTurn, 'extents'>;

export interface TurnResult {
  readonly status: number;
  readonly said: string;
}

let count = 0;

/** Never rejects. */
export function sendCompared(chain: Copy, turn: ComparedTurn): Promise<TurnResult> {
  return sendTurn(chain, { compare: 'any', ...turn });
}

type Copy = Pick<ChainLaboratory, 'destination' | 'chain'>;

/** Never rejects. */
export async function sendTurn(
  { destination, chain }: Copy,
  { from, to, content, rsh, options = [], compare, extents }: SentTurn,
): Promise<TurnResult> {
  const path = join(`${chain}/..`, `source-${count++}`);
  writeFileSync(path, content);
  const words = ['cycle', 'vg/lv', `backup:${destination}`, '--snapback', chain, '-e', rsh];
  const command = toCommand(parseOptions([...words, ...options]));
  assert.ok(command.kind === 'cycle');
  let said = '';
  const context = contextOf(words, (text) => {
    said += text;
  });
  const device = await FileDevice.open(path, { role: 'source' });
  const watch = await WriteWatch.begin(device);
  const points = {
    ...(from && { fromPoint: from.uuid, fromTime: from.time }),
    ...{ toPoint: to.uuid, toTime: to.time },
  };
  const source = {
    ...{ device, watch, attributes: points, members: [], stores: [] },
    ...{ extents: extents ?? NO_EXTENTS.withTail(0, device.size), zeros: NO_EXTENTS },
    ...{ copySize: 0, headKinds: [], chunkSize: 4096, findLateFault: async () => undefined },
    close: () => device.close(),
  };
  try {
    await sendTo(source, { ...command, compare }, context);
    return { status: 0, said };
  } catch (error) {
    if (!(error instanceof LvmsyncError)) throw error;
    const parts = [error.message, error.state, error.hint].filter((part) => part !== undefined);
    return { status: error.exitStatus, said: [said, ...parts].join('\n') };
  } finally {
    await device.close();
  }
}
