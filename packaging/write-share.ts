/** Writes the man pages and the completions below the folder named, laid out as below /usr/share. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { argv, env } from 'node:process';
import { VERSION } from '../src/base/version.js';
import { COMMAND_TABLE } from '../src/cli/command-table.js';
import { formatBash, formatFish, formatZsh } from './completions.js';
import { formatCommandPage, formatManPage } from './man-page.js';

const [, , folder = ''] = argv;
/** Seconds; what makes two builds of one commit equal. */
const seconds = Number(env.SOURCE_DATE_EPOCH ?? Date.now() / 1000);

const edition = { version: VERSION, date: new Date(seconds * 1000) };

const files: Readonly<Record<string, string>> = {
  'man/man8/lvmsync.8': formatManPage(edition),
  ...Object.fromEntries(
    COMMAND_TABLE.map((command) => [
      `man/man8/lvmsync-${command.name}.8`,
      formatCommandPage(command, edition),
    ]),
  ),
  'bash-completion/completions/lvmsync': formatBash(),
  'zsh/vendor-completions/_lvmsync': formatZsh(),
  'fish/vendor_completions.d/lvmsync.fish': formatFish(),
};

for (const [name, text] of Object.entries(files)) {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
