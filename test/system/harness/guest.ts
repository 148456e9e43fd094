// The host's side of the user-mode kernel: start one, pass on what it prints, tell how it ended.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The root of the checkout, seen from dist/test/system/harness. */
export const repository = fileURLToPath(new URL('../../../../', import.meta.url));
const guestRun = `${repository}test/system/harness/guest-run`;

/** Exit statuses of guest-run that are not the command's own. */
export const GUEST_STATUS = { couldNotBoot: 97, stoppedEarly: 98, timedOut: 124 } as const;

export interface GuestOptions {
  /** What the guest runs as root, in the checkout's root folder: a program and its arguments. */
  readonly command: readonly string[];
  /** Variables the command gets on top of PATH, HOME and the guest's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Memory of the guest including its tmpfs, such as `1G`. */
  readonly memory?: string;
  readonly timeoutSeconds?: number;
  /** Which allowed CPU to stay on; guests that run side by side want different ones. */
  readonly cpu?: number;
  /** A program and arguments put before guest-run, to start it as another user. */
  readonly runAs?: readonly string[];
  /** Cuts the guest's power when it is aborted: what was in its memory is gone. */
  readonly powerCut?: AbortSignal;
}

export interface GuestResult {
  readonly status: number;
  /** What the command printed, and after a failure what guest-run and the guest's kernel say. */
  readonly output: string;
}

/** Boots a guest and runs one command in it. Never rejects for what happens inside the guest. */
export async function runInGuest(options: GuestOptions): Promise<GuestResult> {
  const variables = Object.entries(options.env ?? {}).map(([name, value]) => `${name}=${value}`);
  const [program = guestRun, ...words] = [
    ...(options.runAs ?? []),
    guestRun,
    ...(variables.length > 0 ? ['env', ...variables] : []),
    ...options.command,
  ];
  const child = spawn(program, words, {
    cwd: repository,
    env: { ...process.env, ...guestSettings(options) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // On this signal guest-run kills the kernel and all of its processes.
  options.powerCut?.addEventListener('abort', () => child.kill('SIGTERM'));
  const output: Buffer[] = [];
  const collect = async (stream: AsyncIterable<Buffer>): Promise<void> => {
    for await (const piece of stream) output.push(piece);
  };
  const [status] = await Promise.all([
    new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve(code ?? GUEST_STATUS.stoppedEarly));
    }),
    collect(child.stdout),
    collect(child.stderr),
  ]);
  return { status, output: Buffer.concat(output).toString() };
}

function guestSettings(options: GuestOptions): Record<string, string> {
  const settings: Record<string, string> = {};
  if (options.memory !== undefined) settings.UML_MEM = options.memory;
  if (options.timeoutSeconds !== undefined) settings.UML_TIMEOUT = `${options.timeoutSeconds}`;
  if (options.cpu !== undefined) settings.UML_CPU = `${options.cpu}`;
  return settings;
}
