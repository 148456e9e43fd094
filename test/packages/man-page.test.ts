/** lvmsync(8) and the pages of its commands as `man` shows them. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { formatManPage } from '../../packaging/man-page.js';
import { COMMAND_TABLE } from '../../src/cli/command-table.js';
import {
  exitStatuses,
  INTRODUCTION,
  optionSignature,
  optionsOf,
  USAGE,
} from '../../src/cli/help.js';
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

  test('shows every command, its examples, and where the program keeps files', () => {
    for (const { name, description, examples } of COMMAND_TABLE) {
      assert.ok(text.includes(description), name);
      for (const example of examples) assert.ok(text.includes(example.says), example.says);
    }
    for (const file of ['/run/lvmsync', '/var/lib/lvmsync', 'chain.json']) {
      assert.ok(text.includes(file), file);
    }
  });

  for (const command of COMMAND_TABLE) {
    test(`of ${command.name} shows exactly the options that it takes`, () => {
      const path = join(folder, `man/man8/lvmsync-${command.name}.8`);
      show('groff', '-ww', '-z', '-man', '-Tutf8', path);
      const rendered = show('man', '--warnings', '-E', 'UTF-8', '-l', path);
      const [, part = ''] = /^OPTIONS$([\s\S]*)^EXIT STATUS$/m.exec(rendered) ?? [];
      const shown = part.split('\n').filter((line) => /^ {7}-/.test(line));
      const signatures = optionsOf(command).map(optionSignature);
      assert.equal(shown.length, signatures.length);
      for (const [index, signature] of signatures.entries()) {
        assert.ok(`${shown[index]?.trim()} `.startsWith(`${signature} `), shown[index]);
      }
      assert.match(show('lexgrog', path), new RegExp(`"lvmsync-${command.name} - `));
    });
  }

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
