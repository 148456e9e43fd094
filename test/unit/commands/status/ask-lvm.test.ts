import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InterruptedError } from '../../../../src/base/errors.js';
import { askLvm, type LvmHost } from '../../../../src/commands/status/ask-lvm.js';
import { CommandError, type RunCommand } from '../../../../src/host/subprocess.js';

const argv = ['lvs'] as const;
const patience = { limitSeconds: 30, signal: new AbortController().signal };
const SNAPSHOT = { vgName: 'vg0', lvName: 'mail-lvmsync-20261123T100000Z', layer: 'cow' };
const OTHER = { vgName: 'vg0', lvName: 'mail' };

const row = (lvName: string): string =>
  JSON.stringify({
    ...{
      vg_name: 'vg0',
      vg_uuid: 'v',
      lv_name: lvName,
      lv_uuid: `uuid-${lvName}`,
      lv_size: '4096',
    },
    ...{ lv_dm_path: '/x', lv_role: 'public', segtype: 'linear', lv_kernel_major: '253' },
    ...{ lv_kernel_minor: '0', origin: '', origin_uuid: '', origin_size: '', chunk_size: '' },
    ...{ lv_merging: '0', lv_merge_failed: '', lv_snapshot_invalid: '', pool_lv: '', thin_id: '' },
    ...{ lv_tags: 'a,b', data_percent: '12.34', metadata_percent: '' },
  });
const report = (...names: string[]): string => `{"report":[{"lv":[${names.map(row).join(',')}]}]}`;

const answers =
  (stdout: string, stderr = ''): RunCommand =>
  async () => ({ stdout, stderr });
const fails = (failure: Partial<ConstructorParameters<typeof CommandError>[0]>): RunCommand => {
  return async () => {
    throw new CommandError({ argv, code: 'sourceUnfit', reason: 'failed', ...failure });
  };
};
const MISSING = fails({
  cause: Object.assign(new Error(), { code: 'ENOENT' }),
  hint: 'Install it.',
});

function ask(host: Partial<LvmHost>): ReturnType<typeof askLvm> {
  const whole = { run: answers(report()), inKernel: () => [OTHER], isRoot: true, ...host };
  return askLvm(patience, whole);
}

describe('LVM', () => {
  test('says what volumes there are, and how full', async () => {
    const { volumes, failure, note } = await ask({ run: answers(report('mail')) });
    assert.deepEqual(
      volumes.map(({ lvName, dataPercent, metadataPercent, tags }) => ({
        lvName,
        dataPercent,
        metadataPercent,
        tags,
      })),
      [{ lvName: 'mail', dataPercent: 12.34, metadataPercent: undefined, tags: ['a', 'b'] }],
    );
    assert.deepEqual([failure, note], [undefined, undefined]);
  });

  test('may be missing where the kernel has no snapshot of a cycle', async () => {
    const { failure, note } = await ask({ run: MISSING });
    assert.deepEqual([failure, note], [undefined, "LVM's tools are not installed on this host"]);
  });

  test('must not be missing where the kernel has one', async () => {
    const { failure, note } = await ask({ run: MISSING, inKernel: () => [OTHER, SNAPSHOT] });
    assert.equal(note, undefined);
    assert.match(
      failure?.message ?? '',
      /^LVM's tools .*the kernel has vg0\/mail-lvmsync-20261123T100000Z/,
    );
    assert.equal(failure?.hint, 'Install it.');
  });

  test('is not asked by who is not root, which is a failure where there is a cycle', async () => {
    const run: RunCommand = () => assert.fail('asked');
    const { note } = await ask({ run, isRoot: false });
    assert.equal(note, 'only root can see the cycles of this host');
    const { failure } = await ask({ run, isRoot: false, inKernel: () => [SNAPSHOT] });
    assert.equal(failure?.exitStatus, 10);
    assert.match(failure?.hint ?? '', /sudo lvmsync status$/);
  });

  test('that fails is a failure; what it lists all the same is there', async () => {
    const { failure, volumes } = await ask({ run: fails({ status: 5, reason: 'exit status 5' }) });
    assert.match(failure?.message ?? '', /^lvs: exit status 5/);
    assert.deepEqual(volumes, []);
    const partly = await ask({ run: fails({ status: 5, stdout: report('mail') }) });
    assert.equal(partly.volumes.length, 1);
    assert.equal(partly.failure?.exitStatus, 10);
  });

  test('that leaves out a group with a warning, and ends with 0, has not shown all', async () => {
    const gone = '  WARNING: PV /dev/loop1 is marked in use but no VG was found using it.\n';
    const { failure } = await ask({ run: answers(report('mail'), `  WARNING: x\n${gone}`) });
    assert.equal(failure?.message, `lvs: ${gone.trim()}`);
    const { failure: harmless } = await ask({ run: answers(report('mail'), '  WARNING: x\n') });
    assert.equal(harmless, undefined);
  });

  test('may say something between the lines of its report', async () => {
    const at = report('mail').indexOf('[') + 1;
    const [head, rest] = [report('mail').slice(0, at), report('mail').slice(at)];
    const { volumes } = await ask({ run: answers(`${head}\n  Retrying metadata scan.\n${rest}`) });
    assert.equal(volumes.length, 1);
  });

  test('that does not list a snapshot that the kernel has, before and after, has not shown all', async () => {
    const { failure } = await ask({ inKernel: () => [SNAPSHOT] });
    assert.match(failure?.message ?? '', /^lvs: it does not list vg0\/mail-lvmsync-/);
    const listed = await ask({ inKernel: () => [SNAPSHOT], run: answers(report(SNAPSHOT.lvName)) });
    assert.equal(listed.failure, undefined);
    for (const looks of [
      [[SNAPSHOT], []],
      [[], [SNAPSHOT]],
    ]) {
      const inKernel = () => looks.shift() ?? [];
      assert.equal(
        (await ask({ inKernel })).failure,
        undefined,
        'a run removed or made it meanwhile',
      );
    }
  });

  test('that does not answer is ended and is a failure', async () => {
    let ended = false;
    const run: RunCommand = (_, { signal } = {}) =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => {
          ended = true;
          reject(signal.reason);
        });
      });
    const hung = { run, inKernel: () => [], isRoot: true };
    const { failure } = await askLvm({ ...patience, limitSeconds: 0.05 }, hung);
    assert.equal(failure?.message, 'lvs: no answer for 0.05 s');
    assert.ok(ended);
    const signal = AbortSignal.abort('SIGINT');
    await assert.rejects(askLvm({ limitSeconds: 30, signal }, hung), InterruptedError);
  });
});
