import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { LvmsyncError } from '../../../src/base/errors.js';
import { type Destination, parseDestination } from '../../../src/remote/destination-name.js';

describe('destination', () => {
  const understood: readonly [text: string, expected: Destination][] = [
    ['/dev/vg/lv', { path: '/dev/vg/lv' }],
    ['image', { path: 'image' }],
    ['host:/dev/vg/lv', { host: 'host', path: '/dev/vg/lv' }],
    ['root@host:/dev/vg/lv', { host: 'root@host', path: '/dev/vg/lv' }],
    ['host:image', { host: 'host', path: 'image' }],
    ['host:/a:b:c', { host: 'host', path: '/a:b:c' }],
    ['host::', { host: 'host', path: ':' }],
    ['/dev/disk/by-path/pci-0000:00:1f.2', { path: '/dev/disk/by-path/pci-0000:00:1f.2' }],
    ['./a:b', { path: './a:b' }],
    ['dir/a:b', { path: 'dir/a:b' }],
    ['a b', { path: 'a b' }],
    ['-', { path: '-' }],
    ['[2001:db8::1]:/dev/x', { host: '2001:db8::1', path: '/dev/x' }],
    ['user@[::1]:/dev/x', { host: 'user@::1', path: '/dev/x' }],
    ['[fe80::1%eth0]:x', { host: 'fe80::1%eth0', path: 'x' }],
    ['[host]:/dev/x', { host: 'host', path: '/dev/x' }],
    ['/[::1]:/dev/x', { path: '/[::1]:/dev/x' }],
    ['a@b@host:/x', { host: 'a@b@host', path: '/x' }],
    ['höst:/dev/x', { host: 'höst', path: '/dev/x' }],
    ['h;touch PWNED/:x', { path: 'h;touch PWNED/:x' }],
    ['host:/a\nb', { host: 'host', path: '/a\nb' }],
  ];
  for (const [text, expected] of understood) {
    test(`${JSON.stringify(text)} is ${JSON.stringify(expected)}`, () => {
      assert.deepEqual(parseDestination(text), expected);
    });
  }

  const refused: readonly [text: string, reason: RegExp][] = [
    ['', /path is empty/],
    [':/dev/x', /host is empty/],
    ['host:', /path after the host is empty/],
    [':', /host is empty/],
    ['user@:/dev/x', /host is empty/],
    ['@host:/dev/x', /user name is empty/],
    ['[]:/dev/x', /host is empty/],
    ['[::1]:', /path after the host is empty/],
    ['-oProxyCommand=x:/dev/x', /must not begin with "-"/],
    ['user@-oProxyCommand=x:/dev/x', /must not begin with "-"/],
    ['-x@host:/dev/x', /must not begin with "-"/],
    ['[-x]:/dev/x', /must not begin with "-"/],
    ['a b:/dev/x', /blanks or control/],
    ['a\u00a0b:/dev/x', /blanks or control/],
    ['a\tb:/dev/x', /blanks or control/],
    ['a\x1bb:/dev/x', /blanks or control/],
    ['a\u202eb:/dev/x', /blanks or control/],
    ['[a b]:/dev/x', /blanks or control/],
    ['[::1]/dev/x', /brackets/],
    ['[::1:/dev/x', /brackets/],
    ['a[::1]:/dev/x', /brackets/],
  ];
  for (const [text, reason] of refused) {
    test(`${JSON.stringify(text)} is refused`, () => {
      assert.throws(
        () => parseDestination(text),
        (error) =>
          error instanceof LvmsyncError && error.code === 'usage' && reason.test(error.message),
      );
    });
  }

  test('is refused without letting its control characters through', () => {
    assert.throws(() => parseDestination('a\x1b[2Jb:/x'), { message: /"a\\x1b\[2Jb:\/x"/ });
  });

  test('loses nothing of what was typed, and never yields a host that is an option', () => {
    const text = fc.string({ unit: fc.constantFrom(...'ab:/@[]-. \t', '\n', '\0', 'é') });
    fc.assert(
      fc.property(text, (typed) => {
        let parsed: Destination;
        try {
          parsed = parseDestination(typed);
        } catch (error) {
          assert(error instanceof LvmsyncError);
          return;
        }
        const { host, path } = parsed;
        const bare = typed.replace(/^([^[/:]*)\[([^\]]*)\]:/, '$1$2:');
        if (host === undefined) assert.equal(path, typed);
        else assert([typed, bare].includes(`${host}:${path}`));
        assert.doesNotMatch(host ?? 'h', /^-|@-|[\s\0[\]]/);
        assert.notEqual(path, '');
      }),
      { numRuns: 3000 },
    );
  });
});
