/** The name of a command in the metrics, and which of its paths the metrics file must not be. Pure. */

import type { Command } from '../cli/command.js';
import { placeName } from '../remote/destination-name.js';
import type { SourceRequest } from '../source/request.js';
import type { Labels } from './metrics.js';

/** The labels that distinguish the runs of one job from those of another, all as typed. */
export function labelsOf(command: Exclude<Command, { kind: 'version' | 'help' }>): Labels {
  const { kind } = command;
  const labels: (readonly [string, string])[] = [['command', kind]];
  if ('source' in command && typeof command.source === 'object')
    labels.push(['volume', volumeOf(command.source)]);
  if ('origin' in command) labels.push(['volume', command.origin]);
  if ('destination' in command && command.destination !== undefined) {
    const { destination } = command;
    const name = typeof destination === 'string' ? destination : placeName(destination);
    labels.push(['destination', name]);
  }
  return labels;
}

/** The paths on this machine that the run reads or writes, as far as the words show. */
export function pathsOf(command: Exclude<Command, { kind: 'version' | 'help' }>): string[] {
  const paths: (string | undefined)[] = [];
  let isHere = true;
  if ('destination' in command && command.destination !== undefined) {
    const { destination } = command;
    const { host, path } =
      typeof destination === 'string' ? { host: undefined, path: destination } : destination;
    isHere = host === undefined;
    if (isHere) paths.push(path);
  }
  if (isHere && 'snapback' in command) {
    const { snapback } = command;
    paths.push(typeof snapback === 'string' ? snapback : snapback?.path);
  }
  if ('input' in command && command.input !== '-') paths.push(command.input);
  if ('files' in command) paths.push(...command.files);
  if ('source' in command && typeof command.source === 'object') {
    const { source } = command;
    paths.push(source.dataSource, source.kind === 'cowStore' ? source.cowStore : undefined);
  }
  return paths.filter((path) => path !== undefined);
}

function volumeOf(source: SourceRequest): string {
  return source.kind === 'snapshot' ? source.snapshot : source.dataSource;
}
