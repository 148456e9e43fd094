/** Processes in a pid namespace of their own, as in a container that shares everything else. */

import { runTool } from './cli.js';

/** The words that run the words after them so. If this is killed, so is what it runs. */
export const IN_NAMESPACE = ['unshare', '--fork', '--pid', '--kill-child'] as const;

/** For `skip`: false, or why there can be none here. */
export function noNamespace(): string | false {
  const { status, stderr } = runTool([...IN_NAMESPACE, 'true']);
  return status === 0 ? false : `no pid namespace can be made here: ${stderr.trim()}`;
}
