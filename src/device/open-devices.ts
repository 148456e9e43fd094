/** The devices a source needs, opened one after the other and closed together. */

import { LvmsyncError } from '../base/errors.js';
import type { Reporter } from '../run/reporter.js';
import { FileDevice } from './block-device.js';

export class OpenDevices {
  readonly #reporter: Reporter;
  readonly #devices: FileDevice[] = [];

  constructor(reporter: Reporter) {
    this.#reporter = reporter;
  }

  /**
   * `number`, "major:minor", is that of the device that the path is known to lead to. Throws (sourceUnfit)
   * if it leads to another one by now.
   */
  async open(path: string, role: 'source' | 'cowStore', number?: string): Promise<FileDevice> {
    const device = await FileDevice.open(path, { role });
    this.#devices.push(device);
    if (number !== undefined && device.identity.device !== number) {
      throw new LvmsyncError('sourceUnfit', `${path}: another device now has this name`, {
        hint: 'A volume was renamed during the run: run the command again with the new name.',
      });
    }
    const { directError } = device.info;
    if (directError !== null) {
      this.#reporter.verbose(
        `${path}: read through the page cache, O_DIRECT is refused (${directError})`,
      );
    }
    return device;
  }

  async close(): Promise<void> {
    await Promise.all(this.#devices.map((device) => device.close()));
  }
}

/** Opens with `work`; closes everything again if that fails. */
export async function withDevices<T>(
  reporter: Reporter,
  work: (opened: OpenDevices) => Promise<T>,
): Promise<T> {
  const opened = new OpenDevices(reporter);
  try {
    return await work(opened);
  } catch (error) {
    await opened.close();
    throw error;
  }
}
