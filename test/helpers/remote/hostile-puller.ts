/** What stands at the end of `lvmsync cycle --serve` that a puller has, and does not keep to the conversation. */

import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatPullRequest, type PullRequest } from '../../../src/cycle/pull-lines.js';
import { CLI } from '../program/cli.js';

export const SESSION = '0123456789abcdef'.repeat(2);

export interface ServeEnd {
  readonly status: number | null;
  readonly stderr: string;
  /** All that it wrote to standard output. */
  readonly output: Buffer;
}

export class HostilePuller {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  #output = Buffer.alloc(0);
  #stderr = '';
  readonly #ended: Promise<unknown>;

  constructor(words: readonly string[]) {
    // As sshd does it, with a pipe of its own for standard output.
    const script = 'exec 3>&1; set -o pipefail; "$@" | cat >&3';
    const argv = ['-c', script, 'serve', process.execPath, CLI, 'cycle', '--serve', ...words];
    const env = { ...process.env, SSH_ORIGINAL_COMMAND: 'lvmsync cycle --serve vg0/other; id' };
    this.#child = spawn('bash', argv, { stdio: ['pipe', 'pipe', 'pipe'], env });
    this.#child.stdin.on('error', () => undefined);
    this.#child.stdout.on('data', (piece: Buffer) => {
      this.#output = Buffer.concat([this.#output, piece]);
    });
    this.#child.stderr.on('data', (piece) => {
      this.#stderr += piece;
    });
    this.#ended = once(this.#child, 'close');
  }

  say(text: string | Buffer): void {
    this.#child.stdin.write(text);
  }

  request(request: Partial<PullRequest> = {}): void {
    const usual = { session: SESSION, chain: 'abcdefabcdef', mode: 'init', facts: [] } as const;
    const none = { compare: undefined, point: undefined, begun: undefined };
    this.say(formatPullRequest({ ...usual, ...none, ...request }));
  }

  /** Resolves when that is in the output, or the other end has ended. */
  async hears(text: string): Promise<boolean> {
    while (!this.#output.includes(text) && this.#child.exitCode === null) await sleep(10);
    return this.#output.includes(text);
  }

  /** The id of the stream, when its HELLO has come. */
  async streamId(): Promise<string> {
    const start = (): number => this.#output.indexOf('PROTO[3]\r\n') + 10;
    while (start() < 10 || this.#output.length < start() + 400) {
      assert.equal(this.#child.exitCode, null, this.#stderr);
      await sleep(10);
    }
    const words = Array.from({ length: 8 }, (_, i) => start() + 12 * (3 + 2 + i) + 6);
    return words.map((at) => this.#output.toString('hex', at, at + 2)).join('');
  }

  /** Takes nothing more of the stream, until the other end has given up. */
  async hang(): Promise<void> {
    this.#child.stdout.pause();
    while (!this.#stderr.includes('FATAL ERROR')) await sleep(50);
    this.#child.stdout.resume();
  }

  async end({ closes = true } = {}): Promise<ServeEnd> {
    if (closes) this.#child.stdin.end();
    await this.#ended;
    return { status: this.#child.exitCode, stderr: this.#stderr, output: this.#output };
  }
}
