/** `[[user@]host:]path` as a person types it. Pure. */

import { LvmsyncError } from '../base/errors.js';
import { escapeText } from '../base/text.js';

export interface Destination {
  /** `host` or `user@host` as ssh takes it, an IPv6 address without its brackets; none: this machine. */
  readonly host?: string;
  readonly path: string;
}

/** The machine, as messages call it. */
export function hostName({ host }: Pick<Destination, 'host'>): string {
  return host ?? 'this machine';
}

/** As messages call it. */
export function placeName({ host, path }: Destination): string {
  return host === undefined ? path : `${host}:${path}`;
}

/** Advice from there, for who sits elsewhere. `host` as `hostName` has it, a stream's number may follow. */
export function adviceOf(host: string, hint: string): string {
  const [name = host] = host.split(' ');
  return host.startsWith(hostName({})) ? hint : `On ${name}: ${hint}`;
}

/** `user@` in front of it is part of the name; the address itself may hold colons. */
const BRACKETED = /^([^@[\]:/]+@)?\[([^[\]]*)\]:(.*)$/s;

/**
 * The host ends at the first colon, except that a `/` before it means a local path
 * (`/dev/disk/by-path/pci-0000:00:...`) and that brackets enclose an IPv6 address. Throws (usage)
 * for an empty host or path and for a host that could be taken for an option or hide its name.
 */
export function parseDestination(text: string): Destination {
  const bracketed = BRACKETED.exec(text);
  if (bracketed !== null) {
    const [, user = '', address = '', path = ''] = bracketed;
    if (address === '') throw refusal(text, 'the host is empty');
    return remote(text, user + address, path);
  }
  const colon = text.indexOf(':');
  const slash = text.indexOf('/');
  if (colon < 0 || (slash >= 0 && slash < colon)) return local(text);
  return remote(text, text.slice(0, colon), text.slice(colon + 1));
}

function local(path: string): Destination {
  if (path === '') throw refusal(path, 'the path is empty');
  return { path };
}

function remote(text: string, host: string, path: string): Destination {
  const fault = hostFault(host);
  if (fault !== undefined) throw refusal(text, fault);
  if (path === '') {
    throw new LvmsyncError(
      'usage',
      `destination "${escapeText(text, 80)}": the path after the host is empty`,
      {
        hint: `Write HOST:PATH, such as ${escapeText(text, 80)}/dev/VG/LV.`,
      },
    );
  }
  return { host, path };
}

/** ssh takes the part after the last `@` as the host, and reads a leading `-` as an option. */
function hostFault(host: string): string | undefined {
  const name = host.slice(host.lastIndexOf('@') + 1);
  if (name === '') return 'the host is empty';
  if (host.startsWith('@')) return 'the user name is empty';
  if (host.startsWith('-') || name.startsWith('-')) return 'a host must not begin with "-"';
  if (/[\p{C}\p{Z}]/u.test(host)) return 'a host must not contain blanks or control characters';
  if (/[[\]]/.test(host)) return 'brackets must enclose the whole address, as in [::1]:/dev/vg/lv';
  return undefined;
}

function refusal(text: string, reason: string): LvmsyncError {
  return new LvmsyncError('usage', `destination "${escapeText(text, 80)}": ${reason}`, {
    hint: 'For a local path with a colon, put a slash before the colon, such as ./a:b.',
  });
}
