import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chainTagOf, pulledScope, pulledTag } from '../../../src/cycle/names.js';
import type { ChainState } from '../../../src/cycle/plan.js';
import {
  chainIdOf,
  factsOf,
  formatGo,
  formatPullRequest,
  formatServes,
  isGo,
  LONGEST_PULL_LINE,
  type PullRequest,
  parsePullRequest,
  parseServes,
  stateOf,
} from '../../../src/cycle/pull-lines.js';
import { Random } from '../../helpers/random.js';

const SESSION = '0123456789abcdef'.repeat(2);
const POINT = { uuid: 'BIE9KI-q1SL-Q0pG-uQcz-nCyj-Yz2X-Bslvjr', time: '2026-11-23T10:15:00Z' };
const LATER = { uuid: 'BIE9KI-q1SL-Q0pG-uQcz-nCyj-Yz2X-Bslvjs', time: '2026-11-23T11:15:00Z' };
const NEXT: PullRequest = {
  ...{ session: SESSION, chain: 'abcdef012345', mode: 'next' },
  ...{ compare: undefined, point: POINT, begun: undefined, facts: [] },
};

const line = (request: PullRequest): string => formatPullRequest(request).trimEnd();

describe('the request of a puller', () => {
  test('means the same on both hosts', () => {
    const none = { point: undefined, begun: undefined };
    const requests: PullRequest[] = [
      NEXT,
      { ...NEXT, begun: LATER },
      { ...NEXT, mode: 'init', ...none },
      { ...NEXT, mode: 'anew' },
      { ...NEXT, mode: 'anew', ...none },
      { ...NEXT, mode: 'init', compare: 'any', ...none },
      { ...NEXT, compare: 'lost', facts: ['back'] },
      { ...NEXT, compare: 'any', begun: LATER, facts: ['written'] },
      { ...NEXT, compare: 'any', facts: ['written', 'restoring'] },
    ];
    for (const request of requests) assert.deepEqual(parsePullRequest(line(request)), request);
  });

  test('is taken in exactly its form', () => {
    const good = line(NEXT);
    const bad = [
      ...['', ' ', 'lvmsync-pull', good.slice(0, -1), `${good} `, ` ${good}`, `${good}x`],
      ...[good.replace(' 1 ', ' 2 '), good.toUpperCase(), good.replace('next', 'other')],
      ...[good.replace('next', 'init'), good.replace(' -', '-'), `${good} more`],
      ...[good.replace(/ - -$/, ` ${POINT.uuid} -`), good.replace('T10:15', 'T25:15')],
      ...[good.replace(POINT.uuid, '../../etc'), good.replace(POINT.uuid, '$(id)')],
      ...[good.replace(POINT.uuid, 'x'.repeat(LONGEST_PULL_LINE)), good.replace(' -', '\n-')],
      ...[good.replace(/-$/, 'back,written'), good.replace(/-$/, 'written,written')],
      ...[good.replace(/-$/, 'other'), good.replace('next -', 'next all')],
      line({ ...NEXT, begun: LATER, facts: ['mending'] }),
      line({ ...NEXT, mode: 'anew', facts: ['written'] }),
      ...[line({ ...NEXT, point: undefined }), line({ ...NEXT, mode: 'anew', begun: LATER })],
    ];
    for (const one of bad) assert.equal(parsePullRequest(one), undefined, JSON.stringify(one));
  });

  test('whatever is changed in it, only words of its form are taken', () => {
    const random = new Random();
    const good = line({ ...NEXT, begun: LATER });
    for (let i = 0; i < 20_000; i++) {
      const bytes = Buffer.from(good, 'latin1');
      for (let n = 0; n <= random.below(3); n++)
        bytes[random.below(bytes.length)] = random.below(256);
      const cut = random.below(4) === 0 ? random.below(bytes.length) : bytes.length;
      const text = bytes.subarray(0, cut).toString('latin1');
      const request = parsePullRequest(text);
      // Whatever is taken says all that the line says, and nothing else.
      if (request !== undefined) assert.equal(line(request), text);
    }
  });
});

describe('the other lines', () => {
  test('are those of their session only', () => {
    const other = SESSION.replace('0', '1');
    const serves = formatServes(SESSION, 'vg0/mail').trimEnd();
    assert.equal(parseServes(serves, SESSION), 'vg0/mail');
    assert.equal(parseServes(serves, other), undefined);
    for (const text of [`x${serves}`, `${serves} x`, serves.replace('/', ''), '']) {
      assert.equal(parseServes(text, SESSION), undefined, text);
    }
    const go = formatGo(SESSION).trimEnd();
    assert.ok(isGo(go, SESSION));
    for (const text of [`${go} `, `x${go}`, formatGo(other).trimEnd(), 'go', '']) {
      assert.ok(!isGo(text, SESSION), text);
    }
  });

  test('a part that is begun is a cycle run', () => {
    assert.deepEqual(stateOf(NEXT), { point: POINT, doing: undefined });
    const doing = { what: 'turn', to: LATER };
    assert.deepEqual(stateOf({ ...NEXT, begun: LATER }), { point: POINT, doing });
  });

  test('whatever is known of the copy is known on both hosts', () => {
    const mend = { what: 'mend', to: POINT } as const;
    const states: ChainState[] = [
      { point: POINT, doing: undefined },
      { point: POINT, doing: undefined, wentBack: true },
      { point: POINT, doing: { what: 'turn', to: LATER }, written: true },
      { point: POINT, doing: { ...mend, foreign: false } },
      { point: POINT, doing: { ...mend, foreign: true }, wentBack: true, written: true },
    ];
    for (const state of states) {
      const begun = state.doing?.what === 'turn' ? state.doing.to : undefined;
      assert.deepEqual(stateOf({ ...NEXT, begun, facts: factsOf(state) }), state);
    }
  });
});

test('the tags of one name share their first half, and differ in the second', () => {
  const place = { host: 'backup', path: '/dev/vg1/mail', directory: '/backup/mail.chain' };
  const id = chainIdOf(place);
  assert.match(id, /^[0-9a-f]{12}$/);
  assert.equal(chainIdOf({ ...place }), id);
  const others = [
    { ...place, host: 'offsite' },
    { ...place, path: '/dev/vg1/web' },
    { ...place, directory: '/b' },
  ];
  const tags = [place, ...others].map((one) => pulledTag('', chainIdOf(one)));
  assert.equal(new Set(tags).size, 4);
  assert.ok(tags.every((tag) => tag.startsWith(pulledScope('')) && chainTagOf([tag]) === tag));
  assert.notEqual(pulledScope('offsite'), pulledScope(''));
});
