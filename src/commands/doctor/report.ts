/** The findings of `lvmsync doctor`, one diagnosis a line. Pure. */

import { EXIT, type LvmsyncError } from '../../base/errors.js';
import { objectIn } from '../../base/json-object.js';
import { counted, escapeText } from '../../base/text.js';
import { adviceOf } from '../../remote/destination-name.js';

/** `missing`: a run will fail; `warning`: one may, or does without something. */
export type Level = 'ok' | 'warning' | 'missing';

export interface Diagnosis {
  readonly level: Level;
  /** One or two words: what was looked at. */
  readonly subject: string;
  /** The finding, and what it means. */
  readonly text: string;
  /** What to install or change. */
  readonly remedy?: string;
  /** The remote host that found it. */
  readonly host?: string;
  /** Bytes, of a device. */
  readonly size?: number;
  /** Bytes, of a file, which grows where the source did. */
  readonly fileSize?: number;
}

/** The diagnosis of a failure that a run would have. */
export function failureOf(subject: string, { message, hint }: LvmsyncError): Diagnosis {
  return { level: 'missing', subject, text: message, ...(hint !== undefined && { remedy: hint }) };
}

const LEVEL_WIDTH = 9;
const SUBJECT_WIDTH = 14;

/** Text of others in it is made harmless. */
export function formatDiagnosis({ level, subject, text, remedy, host }: Diagnosis): string {
  const place = host === undefined ? '' : `${host}: `;
  const head = `${level.padEnd(LEVEL_WIDTH)}${subject.padEnd(SUBJECT_WIDTH)}`;
  const step = remedy && (host === undefined ? remedy : adviceOf(host, remedy));
  const advice = step === undefined ? '' : `${' '.repeat(head.length)}${escapeText(step)}\n`;
  return `${escapeText(head)}${escapeText(place + text)}\n${advice}`;
}

/** One sentence for the end. */
export function summarize(all: readonly Diagnosis[]): string {
  const count = (wanted: Level): number => all.filter(({ level }) => level === wanted).length;
  const missing = count('missing');
  const warnings = count('warning');
  const noted = warnings === 0 ? '' : `, ${counted(warnings, 'warning')}`;
  if (missing === 0) return `Nothing is missing${noted}.`;
  return `${counted(missing, 'problem')} that will make a run fail${noted}.`;
}

export function statusOf(all: readonly Diagnosis[]): number {
  return all.some(({ level }) => level === 'missing') ? EXIT.usage : EXIT.done;
}

/** Back from a line that ends in JSON; undefined for anything else. */
export function parseDiagnosis(line: string): Diagnosis | undefined {
  const fields = objectIn(line, (one) => 'level' in one && 'subject' in one);
  const { level, subject, text, remedy, size, fileSize } = fields ?? {};
  if (level !== 'ok' && level !== 'warning' && level !== 'missing') return undefined;
  if (typeof subject !== 'string' || typeof text !== 'string') return undefined;
  return {
    ...{ level, subject, text },
    ...(typeof remedy === 'string' && { remedy }),
    ...(typeof size === 'number' && { size }),
    ...(typeof fileSize === 'number' && { fileSize }),
  };
}
