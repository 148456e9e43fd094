/** Starts a program on another host, over the transport that was asked for. */

import type { RemoteOptions } from './options.js';
import { argvTo } from './remote-command.js';
import type { RunContext } from './run-context.js';
import { connectCommand, type OnLine, type Peer } from './transport.js';

export interface RemoteProgram {
  /** `[user@]host` as for ssh. */
  readonly host: string;
  readonly remote: RemoteOptions;
  /** Quoted for the shell there. */
  readonly words: readonly string[];
  readonly onLine: OnLine;
}

/** Throws (transport) if the built-in client cannot reach it; a command tells that by how it ends. */
export async function connect(
  { host, remote, words, onLine }: RemoteProgram,
  { reporter, agentSocket }: Pick<RunContext, 'reporter' | 'agentSocket'>,
): Promise<Peer> {
  if (remote.transport === 'ssh2') {
    const { connectSsh2 } = await import('./ssh2-transport.js');
    return connectSsh2({ host, words, onLine, agentSocket });
  }
  const argv = argvTo(host, remote, words);
  reporter.verbose(`running: ${argv.join(' ')}`);
  return connectCommand(argv, onLine);
}
