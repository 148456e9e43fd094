/**
 * Times as a person reads and types them: those of the local time zone, with its offset, so that what is
 * printed can be given to `rollback --to`. Pure, but for the time zone.
 */

const FORM =
  /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d)(?:[:-](\d\d)(?:[:-](\d\d))?)?)?)?)?(Z|[+-]\d\d:?\d\d)?$/i;

/** The value of a field that is not given: month and day are counted from 1. */
const FIRST = [0, 1, 1, 0, 0, 0] as const;

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/**
 * The end of what the text names, in milliseconds since 1970: of that year, day, minute, second. In the
 * local time zone, or that of its offset, or under a Z in UTC. Undefined for what is not a time.
 */
export function endOfTime(text: string): number | undefined {
  const match = FORM.exec(text);
  if (match === null) return undefined;
  const given = match.slice(1, 7).filter((field) => field !== undefined);
  const fields = FIRST.map((first, index) => Number(given[index] ?? first));
  const zone = match[7] === undefined ? 'local' : parseOffset(match[7]);
  const following = fields.map((field, index) => field + (index === given.length - 1 ? 1 : 0));
  if (!exists(fields) || zone === undefined) return undefined;
  const end = asUtc(following) - 1;
  return zone === 'local' ? lastMomentOf(end) : end - zone;
}

/** Milliseconds that clocks there are ahead of UTC. */
function parseOffset(text: string): number | undefined {
  if (text.toUpperCase() === 'Z') return 0;
  const [, sign, hours = '', minutes = ''] = /^([+-])(\d\d):?(\d\d)$/.exec(text) ?? [];
  if (Number(hours) > 23 || Number(minutes) > 59) return undefined;
  const size = (Number(hours) * 60 + Number(minutes)) * MINUTE_MS;
  return sign === '-' ? -size : size;
}

/**
 * When clocks here show that for the last time, which they do twice in the hour in which they are set back; the
 * last moment before it where they never do, because they are set forward over it. `shown` is what they show,
 * as milliseconds, as if it were UTC.
 */
function lastMomentOf(shown: number): number {
  const offsets = [shown - DAY_MS, shown + DAY_MS].map(offsetAt);
  const moments = offsets.map((offset) => shown - offset);
  const exact = moments.filter((moment) => moment + offsetAt(moment) === shown);
  if (exact.length > 0) return Math.max(...exact);
  let before = Math.min(...moments);
  let after = Math.max(...moments);
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (middle + offsetAt(middle) <= shown) before = middle;
    else after = middle;
  }
  return before;
}

/** Milliseconds that clocks here are ahead of UTC then. */
function offsetAt(moment: number): number {
  return -new Date(moment).getTimezoneOffset() * MINUTE_MS;
}

function asUtc(fields: readonly number[]): number {
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = fields;
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

/** No February 30, no 24:00: Date would take them for a later time. */
function exists(fields: readonly number[]): boolean {
  const date = new Date(asUtc(fields));
  const [, month, day, hour, minute, second] = fields;
  return (
    date.getUTCMonth() + 1 === month &&
    date.getUTCDate() === day &&
    date.getUTCHours() === hour &&
    date.getUTCMinutes() === minute &&
    date.getUTCSeconds() === second
  );
}

/**
 * `2026-11-23T11:15:00+01:00` for `2026-11-23T10:15:00Z`, or for milliseconds since 1970; a Z where clocks
 * here show UTC. What is not such a time stays as it is.
 */
export function localTime(time: string | number): string {
  const moment = typeof time === 'number' ? time : Date.parse(time);
  if (typeof time === 'string' && !/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(time)) return time;
  if (Number.isNaN(moment)) return String(time);
  const offset = offsetAt(moment);
  const shown = new Date(moment + offset).toISOString().slice(0, 19);
  return shown + formatOffset(offset);
}

function formatOffset(offset: number): string {
  if (offset === 0) return 'Z';
  const minutes = Math.abs(offset) / MINUTE_MS;
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  return `${offset < 0 ? '-' : '+'}${two(minutes / 60)}:${two(minutes % 60)}`;
}

const UNITS = [
  ['d', DAY_MS],
  ['h', 60 * MINUTE_MS],
  ['min', MINUTE_MS],
] as const;

/** `3 d 4 h`, `2 h 5 min`, `45 min`, `59 s`: rounded down, two units at most. */
export function timeSpan(milliseconds: number): string {
  const largest = UNITS.findIndex(([, size]) => milliseconds >= size);
  if (largest < 0) return `${Math.floor(milliseconds / 1000)} s`;
  let rest = milliseconds;
  const parts = UNITS.slice(largest, largest + 2).map(([unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count === 0 ? '' : `${count} ${unit}`;
  });
  return parts.filter((part) => part !== '').join(' ');
}
