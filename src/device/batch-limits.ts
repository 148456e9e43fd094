/** Batches small enough for a rate. */

import { BATCH_LIMITS, type BatchLimits, classicLimits } from './extent.js';

/** So many batches a second, and no more, are made of what a low rate allows. */
const BATCHES_A_SECOND = 8;
const SMALLEST_BATCH = 4096;

/** Batches small enough that the rate is kept over seconds, too. */
export function limitsAt(limits: BatchLimits, bytesPerSecond: number | undefined): BatchLimits {
  if (bytesPerSecond === undefined) return limits;
  const share = Math.floor(bytesPerSecond / BATCHES_A_SECOND / SMALLEST_BATCH) * SMALLEST_BATCH;
  const bytes = Math.min(limits.bytes, Math.max(share, SMALLEST_BATCH));
  return { ...limits, bytes, operationBytes: Math.min(limits.operationBytes, bytes) };
}

interface StreamPace {
  readonly format: 'auto' | 'classic';
  readonly bytesPerSecond: number | undefined;
}

/** For the batches of a change stream; a classic record holds a whole chunk, whatever the rate. */
export function streamLimits(
  chunkSize: number,
  { format, bytesPerSecond }: StreamPace,
): BatchLimits {
  if (format === 'classic') return classicLimits(chunkSize);
  return limitsAt(BATCH_LIMITS, bytesPerSecond);
}
