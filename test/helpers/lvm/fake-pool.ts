/** A thin pool of device-mapper that answers dmsetup, and remembers what was asked of it. */

import { CommandError, type RunCommand } from '../../../src/host/subprocess.js';
import type { ThinPool } from '../../../src/lvm/thin-pool.js';

export const POOL: ThinPool = {
  name: 'vg0/pool',
  dmName: 'vg0-pool-tpool',
  dmUuid: 'LVM-0123456789abcdef0123456789abcdefFEDCBA9876543210FEDCBA9876543210-tpool',
  uuid: 'LVM-0123456789abcdef0123456789abcdefFEDCBA9876543210FEDCBA9876543210',
  number: '254:7',
  metadataPath: '/dev/mapper/vg0-pool_tmeta',
  dataBlockSize: 65536,
};

type Message = 'reserve_metadata_snap' | 'release_metadata_snap';

/** Of every FakePool. */
export const TRANSACTION_ID = 1;

export interface FakePoolState {
  heldRoot?: number | undefined;
  mode?: 'rw' | 'ro' | 'out_of_data_space';
  needsCheck?: boolean;
  failed?: boolean;
  /** Of 1024. */
  usedMetadataBlocks?: number;
}

export class FakePool {
  heldRoot: number | undefined;
  /** "status", "reserve" and "release", in the order in which they came. */
  readonly calls: string[] = [];
  /** Called with each message before the pool obeys; true: it does not obey. What it throws is the tool's failure. */
  onMessage: (message: Message) => boolean = () => false;
  readonly #state: FakePoolState;
  #nextRoot = 31;

  constructor(state: FakePoolState = {}) {
    this.#state = state;
    this.heldRoot = state.heldRoot;
  }

  readonly run: RunCommand = async (argv) => {
    const [, action] = argv;
    if (action === 'status') return this.#status();
    const message = argv.at(-1);
    if (action !== 'message') throw new Error(`unexpected: ${argv.join(' ')}`);
    if (message !== 'reserve_metadata_snap' && message !== 'release_metadata_snap') {
      throw new Error(`no message of this kind: ${message}`);
    }
    this.calls.push(message.split('_')[0] ?? '');
    if (!this.onMessage(message)) this.#obey(message);
    return { stdout: '', stderr: '' };
  };

  /** dmsetup ended with a status of its own: the kernel said no. */
  refuse(text: string): never {
    const argv = ['dmsetup', 'message'] as const;
    throw new CommandError({
      argv,
      code: 'pool',
      reason: 'exit status 1',
      status: 1,
      stderr: text,
    });
  }

  /** dmsetup was ended before it could say how it went. */
  interrupt(): never {
    throw new CommandError({ argv: ['dmsetup'], code: 'pool', reason: 'ended by SIGTERM' });
  }

  get messages(): readonly string[] {
    return this.calls.filter((call) => call !== 'status');
  }

  #obey(message: Message): void {
    if (message === 'release_metadata_snap') {
      if (this.heldRoot === undefined) this.refuse('Invalid argument');
      this.heldRoot = undefined;
    } else {
      if (this.heldRoot !== undefined) this.refuse('Device or resource busy');
      this.heldRoot = this.#nextRoot++;
    }
  }

  #status() {
    this.calls.push('status');
    const { failed, mode = 'rw', needsCheck = false, usedMetadataBlocks = 41 } = this.#state;
    if (failed) return { stdout: '0 131072 thin-pool Fail\n', stderr: '' };
    const held = this.heldRoot ?? '-';
    const check = needsCheck ? 'needs_check' : '-';
    const stdout = `0 131072 thin-pool ${TRANSACTION_ID} ${usedMetadataBlocks}/1024 300/1024 ${held} ${mode} discard_passdown queue_if_no_space ${check} 1024 \n`;
    return { stdout, stderr: '' };
  }
}
