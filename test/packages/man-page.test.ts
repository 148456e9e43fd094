/** lvmsync(8) as `man` shows it. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { formatManPage } from '../../packaging/man-page.js';
import { exitStatuses, INTRODUCTION, optionSignature, USAGE } from '../../src/cli/help.js';
import { OPTION_TABLE } from '../../src/cli/option-table.js';
import { missingTool, writeShare } from '../helpers/packages/packages.js';
import { runTool } from '../helpers/program/cli.js';
import { scratchFolder } from '../helpers/scratch.js';

const folder = scratchFolder();
const page = join(folder, 'man/man8/lvmsync.8');

describe('the man page', { skip: missingTool('man', 'groff') }, () => {
  let lines: string[] = [];
  let text = '';

  before(() => {
    writeShare(folder);
    const rendered = show('man', '--warnings', '-E', 'UTF-8', '-l', page);
    lines = rendered.split('\n');
    text = rendered.replace(/\s+/g, ' ');
  });

  /** Its output; nothing may be said on standard error. */
  function show(...argv: string[]): string {
    const env = { ...process.env, LC_ALL: 'C.UTF-8', MANWIDTH: '100', MANPAGER: 'cat' };
    const { status, stdout, stderr } = runTool(argv, { env });
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
    return stdout.toString();
  }

  test('is without a fault to groff with all its warnings', () => {
    show('groff', '-ww', '-z', '-man', '-Tutf8', page);
  });

  test('shows exactly the options that exist, with the words of --help', () => {
    // The help stands beside an option that leaves it room, else below.
    const options = lines.filter((line) => /^ {7}-/.test(line)).map((line) => line.trim());
    const signatures = OPTION_TABLE.map(optionSignature);
    assert.deepEqual(
      options.map((line, i) => (line.startsWith(`${signatures[i]} `) ? signatures[i] : line)),
      signatures,
    );
    for (const { help, name } of OPTION_TABLE) assert(text.includes(help), name);
  });

  test('shows every exit status', () => {
    for (const [status, meaning] of exitStatuses()) {
      assert(text.includes(` ${status} ${meaning} `), status);
    }
  });

  test('shows how the program is called, and what for', () => {
    const usage = USAGE.trim()
      .split('\n')
      .map((line) => line.replace(/^Usage:/, '').trim());
    for (const line of usage)
      assert(
        lines.some((shown) => shown.trim() === line),
        line,
      );
    for (const paragraph of INTRODUCTION) assert(text.includes(paragraph), paragraph);
  });

  test('can be found by its purpose', () => {
    assert.match(show('lexgrog', page), /"lvmsync - moves the changed blocks/);
  });

  test('is the same whenever it is made of the same sources', () => {
    const date = new Date('2026-01-02T03:04:05Z');
    assert.match(
      formatManPage({ version: '1.2.3', date }),
      /^\.TH LVMSYNC 8 "2026-01-02" "lvmsync 1\.2\.3"/,
    );
    writeShare(folder, { ...process.env, SOURCE_DATE_EPOCH: '86400' });
    assert.match(readFileSync(page, 'utf8'), /"1970-01-02"/);
  });
});
