/** `--apply FILE --dry-run`, once the stream's beginning and its destination were found to fit. */

import { EXIT } from '../base/errors.js';
import { humanSize } from '../base/text.js';
import { VERSION } from '../base/version.js';
import type { ApplyCommand } from '../cli/command.js';
import type { FileDevice } from '../device/block-device.js';
import type { SnapbackOptions } from '../pipeline/snapback.js';
import { checkSnapback } from '../pipeline/snapback-file.js';
import type { RunContext } from '../run/context.js';
import { inspectFile } from '../stream/inspection.js';

export interface ApplyDryRun {
  readonly command: ApplyCommand;
  readonly device: FileDevice;
  /** Bytes that the destination would have. */
  readonly size: number;
  /** Bytes that the changes say they hold. */
  readonly announced: number | undefined;
  /** The options of the snapback that would be made. */
  readonly snapback: SnapbackOptions | undefined;
  /** Tells a sender that waits that the stream would be taken. */
  readonly answer: () => void;
}

/** Throws what a run would throw. A file is looked through as `inspect` does it. Resolves with the status. */
export async function reportApply(
  { command, device, size, announced, snapback, answer }: ApplyDryRun,
  { reporter, signal }: RunContext,
): Promise<number> {
  if (snapback !== undefined) checkSnapback(snapback);
  const bytes = command.input === '-' ? announced : await bytesOfWhole(command.input, signal);
  answer();
  const grows = size > device.size ? `, to become ${humanSize(size)}` : '';
  const held = `${humanSize(device.size)}${grows}`;
  const changes = bytes === undefined ? '' : `, with ${humanSize(bytes)} of changes`;
  reporter.info(
    `lvmsync ${VERSION}: ${device.path} (${held}) can be written${changes}. This was a dry run: nothing was written`,
  );
  return EXIT.done;
}

/** Throws for a file that cannot be applied completely. */
async function bytesOfWhole(path: string, signal: AbortSignal): Promise<number> {
  const { fault, bytes, discardedBytes } = await inspectFile(path, signal);
  if (fault !== undefined) throw fault;
  return bytes + discardedBytes;
}
