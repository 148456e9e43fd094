/**
 * `node UNRULY PLAN-FILE HOST WORD...`: stands for ssh, runs the words as a login shell does, and passes
 * bytes both ways until the plan says otherwise. Writes the receiver's process id beside the plan, since
 * a receiver that was stopped has to be ended by the test.
 */

import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync, writeSync } from 'node:fs';

/** What goes wrong when so many bytes of the stream were passed on. */
export interface UnrulyPlan {
  readonly afterBytes: number;
  readonly deed: /** Nothing: all of the stream is passed on, and its end. */
    | { readonly kind: 'none' }
    /** Both directions end, and so do we, with that status; the receiver sees a cut. */
    | { readonly kind: 'drop'; readonly status: number }
    /** The receiver gets a signal. */
    | { readonly kind: 'signal'; readonly signal: 'SIGSTOP' | 'SIGKILL' | 'SIGTERM' }
    /** The stream is passed on no more, and nothing else happens. */
    | { readonly kind: 'stall' };
  /** Printed before anything of the stream is passed on. ID in it is that of the stream. */
  readonly before?: { readonly stdout?: string; readonly stderr?: string };
  /** Of what the receiver answers: passed on up to so many bytes. */
  readonly answerBytes?: number;
  /** Each line of its answers becomes these; $1 stands for the line itself. */
  readonly answers?: { readonly pattern: string; readonly lines: string };
  /** In place of the receiver's status. */
  readonly status?: number;
}

const HEAD_SIZE = 1024;

/** Bytes 4 to 19 of the HELLO frame, two in each control word, in hexadecimal. */
export function streamIdOf(stream: Buffer): string {
  const words = stream.indexOf('\n') + 1;
  const id = Buffer.alloc(16);
  for (let at = 0; at < 8; at++) stream.copy(id, 2 * at, words + 12 * (5 + at) + 6);
  return id.toString('hex');
}

async function main([planFile = '', , ...words]: readonly string[]): Promise<void> {
  const plan = JSON.parse(readFileSync(planFile, 'utf8')) as UnrulyPlan;
  const receiver = spawn('sh', ['-c', `exec ${words.join(' ')}`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  writeFileSync(`${planFile}.pid`, `${receiver.pid}`);
  const ended = new Promise<number>((resolve) => {
    receiver.once('close', (status) => resolve(status ?? 128));
  });
  receiver.stdin.on('error', () => undefined);
  const answering = passAnswers(plan, receiver.stdout);
  await Promise.race([passStream(plan, receiver), ended]);
  const status = await ended;
  await answering;
  process.exit(plan.status ?? status);
}

async function passStream(plan: UnrulyPlan, receiver: ReturnType<typeof spawn>): Promise<void> {
  const limit = plan.deed.kind === 'none' ? Number.POSITIVE_INFINITY : plan.afterBytes;
  let passed = 0;
  let head = Buffer.alloc(0);
  let said = plan.before === undefined;
  for await (const bytes of process.stdin as AsyncIterable<Buffer>) {
    if (head.length < HEAD_SIZE) head = Buffer.concat([head, bytes.subarray(0, HEAD_SIZE)]);
    if (!said && head.length >= HEAD_SIZE) {
      said = true;
      say(plan, streamIdOf(head));
    }
    const room = limit - passed;
    await write(receiver, bytes.subarray(0, room));
    passed += Math.min(room, bytes.length);
    if (passed === limit && (await misbehave(plan, receiver))) return;
  }
  receiver.stdin?.end();
}

function write({ stdin }: ReturnType<typeof spawn>, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    if (stdin === null || bytes.length === 0 || stdin.write(bytes)) resolve();
    else for (const event of ['drain', 'close', 'error']) stdin.once(event, () => resolve());
  });
}

/** Whether nothing more of the stream is to be passed on. */
async function misbehave(
  { deed }: UnrulyPlan,
  receiver: ReturnType<typeof spawn>,
): Promise<boolean> {
  switch (deed.kind) {
    case 'none':
      return false;
    case 'drop':
      receiver.stdin?.destroy();
      return process.exit(deed.status);
    case 'signal':
      receiver.kill(deed.signal);
      return true;
    case 'stall':
      return new Promise(() => undefined);
  }
}

function say({ before = {} }: UnrulyPlan, id: string): void {
  for (const [fd, text = ''] of [
    [1, before.stdout],
    [2, before.stderr],
  ] as const) {
    writeWhole(fd, Buffer.from(text.replaceAll('ID', id)));
  }
}

/** The answers of a receiver are few and short: they can be changed when they are all there. */
async function passAnswers(plan: UnrulyPlan, stdout: AsyncIterable<Buffer>): Promise<void> {
  const { answers, answerBytes = Number.POSITIVE_INFINITY } = plan;
  let text = '';
  for await (const bytes of stdout) {
    if (answers === undefined && plan.answerBytes === undefined) writeWhole(1, bytes);
    else text += bytes;
  }
  if (answers !== undefined) text = text.replace(new RegExp(answers.pattern, 'gm'), answers.lines);
  writeWhole(1, Buffer.from(text).subarray(0, answerBytes));
}

function writeWhole(fd: number, bytes: Buffer): void {
  for (let rest = bytes; rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
    }
  }
}

if (process.argv[1]?.endsWith('fake-rsh-unruly.js')) await main(process.argv.slice(2));
