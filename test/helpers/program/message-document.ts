/** What docs/json.md says of the objects of --json, and whether an object is so. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const DOCUMENT = readFileSync(new URL('../../../../docs/json.md', import.meta.url), 'utf8');

/** Types of each member, by its name. */
type Members = ReadonlyMap<string, readonly string[]>;

/** The members of each type of object, and of each of `fills`. */
export const DOCUMENTED = readDocument();

/** A section may be of several types; what stands before all sections every object has. */
function readDocument(): ReadonlyMap<string, Members> {
  const [beginning = '', ...sections] = DOCUMENT.split(/^## /m);
  const common = readTable(beginning);
  const types = sections.flatMap((section) => {
    const names = /^`\w+`(?:, `\w+`)*$/.exec(section.split('\n')[0] ?? '')?.[0] ?? '';
    const [own = '', ofFills] = section.split(/^Each of `fills`:$/m);
    const found = [...names.matchAll(/\w+/g)].map(([name]): [string, Members] => [
      name,
      new Map([...common, ...readTable(own)]),
    ]);
    if (ofFills !== undefined) found.push(['fills', readTable(ofFills)]);
    return found;
  });
  return new Map(types);
}

function readTable(text: string): Members {
  const rows = text.matchAll(/^\| `(\w+)` \| ([\w ]+) \|/gm);
  return new Map([...rows].map(([, name = '', types = '']) => [name, types.split(' or ')]));
}

export type MessageObject = Readonly<Record<string, unknown>> & { readonly type: string };

/** The objects of what a run said, each as the document describes it. */
export function messagesOf(stderr: string): MessageObject[] {
  assert.ok(stderr === '' || stderr.endsWith('\n'), `whole lines only:\n${stderr}`);
  const lines = stderr.split('\n').slice(0, -1);
  return lines.map((line) => {
    const message: unknown = JSON.parse(line);
    assertDocumented(message);
    return message;
  });
}

function assertDocumented(message: unknown): asserts message is MessageObject {
  assert.ok(typeof message === 'object' && message !== null && 'type' in message);
  const members = DOCUMENTED.get(String(message.type));
  assert.ok(members !== undefined, `an undocumented type: ${JSON.stringify(message)}`);
  assertMembers(message, members);
  if ('time' in message) assert.equal(new Date(String(message.time)).toISOString(), message.time);
  if (!('fills' in message) || !Array.isArray(message.fills)) return;
  for (const fill of message.fills) assertMembers(fill, DOCUMENTED.get('fills') ?? new Map());
}

function assertMembers(object: object, members: Members): void {
  const present = new Map(Object.entries(object));
  const text = JSON.stringify(object);
  for (const name of present.keys()) assert.ok(members.has(name), `${name} of ${text}`);
  for (const [name, types] of members) {
    assert.ok(types.includes(typeOf(present.get(name))), `${name}: ${types} in ${text}`);
  }
}

function typeOf(value: unknown): string {
  if (value === undefined) return 'absent';
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}
