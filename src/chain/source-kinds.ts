/** The allowed kinds of first bytes for the copy of a chain (see head-kind): those of the sources of its turns. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { headKindsIn } from '../stream/device-facts.js';
import { readLinks } from './link.js';
import { isGoingBack, readRecord } from './record.js';

/** From its first full copy and from all links, also those that the last rollback undid. None where there is no chain. */
export async function sourceKinds(directory: string | undefined): Promise<readonly string[]> {
  if (directory === undefined || !existsSync(directory)) return [];
  const record = readRecord(directory);
  if (record === undefined) return [];
  const { doing, undone: last, headKinds } = record;
  const undone = isGoingBack(doing) ? doing : last;
  const folders = undone === null ? [] : [join(directory, undone.folder)];
  const kinds = new Set(headKinds);
  for (const folder of [directory, ...folders.filter((one) => existsSync(one))]) {
    const { links } = await readLinks(folder);
    for (const { hello } of links)
      for (const kind of headKindsIn(hello.attributes)) kinds.add(kind);
  }
  return [...kinds];
}
