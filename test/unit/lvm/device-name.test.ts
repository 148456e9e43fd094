import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  bareUuid,
  formatDeviceName,
  parseDeviceName,
  parseDeviceUuid,
} from '../../../src/lvm/device-name.js';

describe('device-mapper names', () => {
  const names = [
    ['vg0-my--data', { vgName: 'vg0', lvName: 'my-data', layer: undefined }],
    ['my--vg-da--ta----x-real', { vgName: 'my-vg', lvName: 'da-ta--x', layer: 'real' }],
    ['vg---lv', { vgName: 'vg-', lvName: 'lv', layer: undefined }],
    ['a+b.c_d-e', { vgName: 'a+b.c_d', lvName: 'e', layer: undefined }],
    ['v-snap--cow', { vgName: 'v', lvName: 'snap-cow', layer: undefined }],
    ['v-snap-cow', { vgName: 'v', lvName: 'snap', layer: 'cow' }],
    ['v-snap---cow', { vgName: 'v', lvName: 'snap-', layer: 'cow' }],
  ] as const;
  for (const [name, parts] of names) {
    test(`stand for the volume and back: ${name}`, () => {
      assert.deepEqual(parseDeviceName(name), parts);
      assert.equal(formatDeviceName(parts), name);
    });
  }

  for (const name of ['', 'vg', 'vg--lv', '-lv', 'vg-', 'a-b-c-d', 'a/b-c', 'v-l-']) {
    test(`are refused where LVM makes no such name: "${name}"`, () => {
      assert.equal(parseDeviceName(name), undefined);
    });
  }

  test('stand for any group, volume and layer without loss', () => {
    const part = fc.stringMatching(/^[a-z0-9+_.][a-z0-9+_.-]{0,10}$/);
    const layer = fc.option(fc.constantFrom('cow', 'real', 'tpool'), { nil: undefined });
    fc.assert(
      fc.property(part, part, layer, (vgName, lvName, inner) => {
        const volume = { vgName, lvName, layer: inner };
        assert.deepEqual(parseDeviceName(formatDeviceName(volume)), volume);
      }),
    );
  });
});

describe('parseDeviceUuid', () => {
  const vgUuid = 'xJnO980TnhkYGUQy53eG2ogytfv9QZeR';
  const lvUuid = 'dbZOJDerfUUf2kOBBqwJWyraxdpq74Cj';

  test('takes the uuids of group and volume out', () => {
    assert.deepEqual(parseDeviceUuid(`LVM-${vgUuid}${lvUuid}`), {
      vgUuid,
      lvUuid,
      layer: undefined,
    });
    assert.equal(parseDeviceUuid(`LVM-${vgUuid}${lvUuid}-cow`)?.layer, 'cow');
  });

  for (const uuid of ['', `CRYPT-LUKS2-${vgUuid}-x`, `LVM-${vgUuid}`, `LVM-${vgUuid}${lvUuid}x`]) {
    test(`knows what is not from LVM: "${uuid}"`, () => {
      assert.equal(parseDeviceUuid(uuid), undefined);
    });
  }
});

describe('bareUuid', () => {
  test('writes a uuid of LVM as the kernel holds it', () => {
    const uuid = 'xJnO98-0Tnh-kYGU-Qy53-eG2o-gytf-v9QZeR';
    assert.equal(bareUuid(uuid), 'xJnO980TnhkYGUQy53eG2ogytfv9QZeR');
  });
});
