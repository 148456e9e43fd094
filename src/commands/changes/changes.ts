/** `lvmsync changes SNAPSHOT`: the list of what changed, for other programs. No data is read. */

import { EXIT } from '../../base/errors.js';
import type { ChangesCommand, ListForm } from '../../cli/command.js';
import { stretchesOf, wholeDevice } from '../../device/stretches.js';
import type { RunContext } from '../../run/context.js';
import type { Source } from '../../source/source.js';
import { withCheckedSource } from '../checked-source.js';
import { refuseClosedOutput, refuseOwnOutput } from '../own-output.js';
import { headOf, jsonPieces, type ListHead, linePieces } from './list.js';
import { formatSummary, summaryJson, summaryOf } from './summary.js';
import { writePieces } from './write-pieces.js';

const LOST_LIST = {
  what: 'the list',
  code: 'destinationWrite',
  hint: 'Redirect it to a file or a pipe.',
} as const;

export async function runChanges(command: ChangesCommand, context: RunContext): Promise<number> {
  refuseClosedOutput(LOST_LIST);
  // All that was written before is in the list.
  const listedAt = new Date();
  const request = { source: command.source, requireQuiet: false };
  await withCheckedSource(request, context, {
    refuse: refuseOwnOutput,
    work: async (source, { signal }) => {
      const head = headOf(source, listedAt);
      await writePieces(piecesOf(source, head, command), signal);
    },
  });
  return EXIT.done;
}

function piecesOf(
  source: Source,
  head: ListHead,
  { form, summary }: Pick<ChangesCommand, 'form' | 'summary'>,
): Iterable<string> {
  if (!summary) return FORMS[form](source, head);
  const found = summaryOf(source);
  return [form === 'json' ? summaryJson(head, found) : formatSummary(head, found)];
}

const FORMS: Readonly<Record<ListForm, (source: Source, head: ListHead) => Iterable<string>>> = {
  text: (source) => linePieces(stretchesOf(source)),
  json: (source, head) => jsonPieces(head, stretchesOf(source)),
  'borg-map': (source) => linePieces(wholeDevice(source, source.device.size)),
};
