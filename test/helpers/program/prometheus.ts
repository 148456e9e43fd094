/** A strict reader of the text format of Prometheus, version 0.0.4. */

import assert from 'node:assert/strict';

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const VALUE = '[+-]?(?:\\d+(?:\\.\\d*)?(?:e[+-]?\\d+)?|Inf)|NaN';
const HELP_LINE = new RegExp(`^# HELP (${NAME}) (.+)$`);
const TYPE_LINE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram|summary|untyped)$`);
const SAMPLE_LINE = new RegExp(`^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)\\})? (${VALUE})$`);

/**
 * The families by their names. Beyond what the format asks for, each family has a HELP, then a TYPE, then its
 * samples, at once; no series comes twice, and the names suit the types.
 */
export function parsePrometheus(text: string): ReadonlyMap<string, Family> {
  assert.match(text, /\n$/, 'the last line ends');
  const families = new Map<string, Family & { samples: Sample[] }>();
  const lines = text.split('\n').slice(0, -1);
  for (let i = 0; i < lines.length; ) {
    const [, name = '', help = ''] = matched(HELP_LINE, lines[i++]);
    const [, typed, type = ''] = matched(TYPE_LINE, lines[i++]);
    assert.equal(typed, name);
    assert.ok(!families.has(name), `${name} comes twice`);
    assert.equal(type === 'counter', name.endsWith('_total'), `${name} as a ${type}`);
    const samples: Sample[] = [];
    for (; i < lines.length && !lines[i]?.startsWith('#'); i++) {
      const [, of, labels = '', value = ''] = matched(SAMPLE_LINE, lines[i]);
      assert.equal(of, name);
      samples.push({ labels: parseLabels(labels), value: Number(value) });
    }
    const series = samples.map((sample) => JSON.stringify(Object.entries(sample.labels).sort()));
    assert.equal(new Set(series).size, series.length, `a series of ${name} comes twice`);
    families.set(name, { type, help, samples });
  }
  return families;
}

/** The value of a metric that has a single series; undefined if it has none. */
export function onlyValue(text: string, name: string): number | undefined {
  const { samples } = parsePrometheus(text).get(name) ?? assert.fail(`no ${name}`);
  assert.ok(samples.length <= 1, name);
  return samples[0]?.value;
}

function matched(pattern: RegExp, line: string | undefined): RegExpExecArray {
  return pattern.exec(line ?? '') ?? assert.fail(`not of the format: ${line}`);
}

function parseLabels(text: string): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {};
  for (const [label] of text.matchAll(new RegExp(LABEL, 'g'))) {
    const equals = label.indexOf('=');
    const name = label.slice(0, equals);
    assert.ok(!(name in labels), `the label ${name} comes twice`);
    const raw = label.slice(equals + 2, -1);
    labels[name] = raw.replace(/\\(.)/g, (_, character) => (character === 'n' ? '\n' : character));
  }
  return labels;
}
