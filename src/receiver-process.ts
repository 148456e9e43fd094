/** Starts this program where the destination is: on another host, or here as a process of its own. */

import type { SendRequest } from './options.js';
import { OWN_PROGRAM } from './own-program.js';
import { receiverWords, transportArgv } from './remote-command.js';
import type { RunContext } from './run-context.js';
import { connectCommand, type OnLine, type Peer } from './transport.js';

/** `words` are its arguments, not quoted. Throws (transport) if the host cannot be reached. */
export async function startReceiver(
  request: SendRequest,
  words: readonly string[],
  { onLine, context }: { readonly onLine: OnLine; readonly context: RunContext },
): Promise<Peer> {
  const { reporter, agentSocket } = context;
  const { host } = request.destination;
  if (host !== undefined && request.remote.transport === 'ssh2') {
    const { connectSsh2 } = await import('./ssh2-transport.js');
    return connectSsh2({ host, words: receiverWords(request, words), onLine, agentSocket });
  }
  const argv =
    host === undefined ? [...OWN_PROGRAM, ...words] : transportArgv(request, host, words);
  reporter.verbose(`running: ${argv.join(' ')}`);
  return connectCommand(argv, onLine);
}
