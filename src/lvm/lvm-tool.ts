/** LVM's tools, run so that what they print does not depend on this host's settings. */

import { CommandError, type RunCommand, runCommand } from '../host/subprocess.js';

const TOOLS: ReadonlySet<string> = new Set([
  'lvs',
  'vgs',
  'lvchange',
  'lvcreate',
  'lvremove',
  'vgcfgbackup',
]);

/**
 * Settings that lvm.conf, a profile or the environment may make, and that a report or its words on stderr depend
 * on: as LVM has it by default (lvmconfig --type default report log). LVM puts --config above all of them.
 */
const SETTINGS = [
  'report{output_format="basic" compact_output=0 compact_output_cols="" list_item_separator=","',
  'headings=1 separator=" " prefixes=0 quoted=1 columns_as_rows=0 binary_values_as_numeric=0}',
  'log{report_command_log=0 command_names=0 prefix="  " verbose=0 silent=0 indent=0}',
].join(' ');

/** As runCommand, for any tool. Who is not root reads that LVM's and device-mapper's need root. */
export const runTool: RunCommand = async (argv, options = {}) => {
  const [tool, ...args] = argv;
  try {
    if (!TOOLS.has(tool)) return await runCommand(argv, options);
    return await runCommand([tool, ...withSettings(args)], options);
  } catch (error) {
    throw needsRoot(error) ?? error;
  }
};

/** LVM takes --config once: a call that has settings of its own gets these behind them. */
export function withSettings(args: readonly string[]): readonly string[] {
  const at = args.indexOf('--config') + 1;
  if (at === 0) return ['--config', SETTINGS, ...args];
  return [...args.slice(0, at), `${args[at]} ${SETTINGS}`, ...args.slice(at + 1)];
}

/** The errors of these tools for a user who may not open their files and devices fill a page, and name no remedy. */
export function needsRoot(
  error: unknown,
  user: number | undefined = process.geteuid?.(),
): CommandError | undefined {
  if (user === 0 || !(error instanceof CommandError) || error.status === undefined)
    return undefined;
  const { argv, code, status } = error;
  if (!TOOLS.has(argv[0]) && argv[0] !== 'dmsetup') return undefined;
  const hint = 'Run it as root: sudo lvmsync ...';
  return new CommandError({ argv, code, status, reason: 'it needs root', hint, cause: error });
}
