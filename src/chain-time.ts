/** The TIME of `rollback --to`: ISO 8601 or the beginning of it. Pure, but for the local time zone. */

const FORM = /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d)(?:[:-](\d\d)(?:[:-](\d\d))?)?)?)?)?(Z?)$/i;

/** What a field is where it is not given: month and day are counted from 1. */
const FIRST = [0, 1, 1, 0, 0, 0] as const;

/**
 * The end of what the text names, in milliseconds since 1970: of that year, day, minute, second. In the
 * local time zone, or under a Z in UTC. Undefined for what is no time.
 */
export function endOfTime(text: string): number | undefined {
  const match = FORM.exec(text);
  if (match === null) return undefined;
  const given = match.slice(1, 7).filter((field) => field !== undefined);
  const fields = FIRST.map((first, index) => Number(given[index] ?? first));
  const utc = match[7] !== '';
  const following = fields.map((field, index) => field + (index === given.length - 1 ? 1 : 0));
  if (!exists(fields)) return undefined;
  return momentOf(following, utc) - 1;
}

function momentOf(fields: readonly number[], utc: boolean): number {
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = fields;
  if (utc) return Date.UTC(year, month - 1, day, hour, minute, second);
  return new Date(year, month - 1, day, hour, minute, second).getTime();
}

/** No February 30, no 24:00: Date would take them for a later time. */
function exists(fields: readonly number[]): boolean {
  const date = new Date(momentOf(fields, true));
  const [, month, day, hour, minute, second] = fields;
  return (
    date.getUTCMonth() + 1 === month &&
    date.getUTCDate() === day &&
    date.getUTCHours() === hour &&
    date.getUTCMinutes() === minute &&
    date.getUTCSeconds() === second
  );
}
