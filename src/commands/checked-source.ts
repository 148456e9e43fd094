/** A source with every check before the first byte of a run, and what became of its snapshot at the end of it. */

import { selectEngine } from '../device/select-engine.js';
import type { RunContext } from '../run/context.js';
import { openSource } from '../source/open-source.js';
import { checkWatch, reportLateFault } from '../source/quiet-check.js';
import type { FillRequest, SourceRequest } from '../source/request.js';
import type { Source } from '../source/source.js';
import { guardStores } from '../source/store-guard.js';

export interface CheckedRequest extends FillRequest {
  readonly source: SourceRequest;
  readonly requireQuiet: boolean;
}

export interface SourceUse {
  /** Throws where what is written would change the source. */
  readonly refuse?: (source: Source) => void;
  /** The run itself; its context ends when a store is as full as the request says. */
  readonly work: (source: Source, context: RunContext) => Promise<void>;
}

/** Opens it, works, closes it. Throws what is wrong with the source before the work begins. */
export async function withCheckedSource(
  { source: request, requireQuiet, maxCowUse }: CheckedRequest,
  context: RunContext,
  { refuse, work }: SourceUse,
): Promise<void> {
  selectEngine(context);
  const source = await openSource(request, context);
  try {
    refuse?.(source);
    checkWatch(source.watch, { requireQuiet, reporter: context.reporter });
    const guard = { source, maxPercent: maxCowUse, context };
    await guardStores(guard, (guarded) => work(source, guarded));
    await reportLateFault(source, context.reporter);
  } finally {
    await source.close();
  }
}
