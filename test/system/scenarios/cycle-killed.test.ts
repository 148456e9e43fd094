import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Campaign, campaignSize, someOf } from '../../helpers/faults/campaign.js';
import { Random } from '../../helpers/random.js';
import { CycleLaboratory } from '../harness/cycles.js';
import { useOwnStateFolder } from '../harness/thin.js';

useOwnStateFolder();

/** Killed turns of each kind of volume. */
const KILLS = campaignSize({ commit: 2, release: 50 });
/** So that sending takes a second or two. */
const RATE = { thick: '400K', thin: '4M' } as const;

/** Resolves when the turn is to be killed, or soon after it is over by itself. */
type Moment = (turn: ChildProcess) => Promise<unknown>;

const random = new Random();

for (const kind of someOf(['thick', 'thin'] as const, 1, random)) {
  describe(`a turn of a ${kind} volume that is killed`, () => {
    let laboratory: CycleLaboratory;
    let duration = 0;
    before(() => {
      laboratory = new CycleLaboratory(kind, random);
      laboratory.turnSucceeds('--init');
      laboratory.startWriter();
      const started = performance.now();
      laboratory.turn('--bwlimit', RATE[kind]);
      duration = performance.now() - started;
    });
    after(() => laboratory.destroy());

    /** With the receiver, as a shell would kill a job; what it started to clean up lives on. */
    const killWhen = async (moment: Moment): Promise<void> => {
      const child = laboratory.startTurn('--bwlimit', RATE[kind]);
      const ended = once(child, 'exit');
      await Promise.race([moment(child), ended]);
      if (child.exitCode === null) process.kill(-(child.pid ?? 0), 'SIGKILL');
      await ended;
    };
    /** Every other one while data are on their way, which a turn is but for a short time. */
    const momentOf = (kill: number): Moment => {
      const share = random.below(1000) / 1000;
      if (kill % 2 === 1) return () => delay(((kill + share) / KILLS) * duration);
      return async (turn) => {
        await laboratory.isUnderWay(turn);
        await delay(share * 500);
      };
    };

    test('never rotates early, and the next turn is right', async (t) => {
      const campaign = new Campaign(t, `T5 SIGKILL during a turn of a cycle, ${kind}`, random.seed);
      const found = { notBegun: 0, snapshotMade: 0, partlySent: 0 };
      for (let kill = 0; kill < KILLS; kill++) {
        await campaign.run(`kill ${kill} of ${KILLS}`, async () => {
          await killWhen(momentOf(kill));
          const snapshots = laboratory.snapshots();
          const held = laboratory.point();
          assert.ok(
            snapshots.some(({ uuid }) => uuid === held),
            'the snapshot of the point is there',
          );
          if (laboratory.isBegun()) found.partlySent++;
          else if (snapshots.length > 1) found.snapshotMade++;
          else found.notBegun++;
          laboratory.turnSucceeds();
        });
      }
      console.log(`# ${kind}: ${JSON.stringify(found)}`);
      assert.ok(found.partlySent >= KILLS / 5, `${found.partlySent} were killed while they sent`);
      campaign.finish(KILLS);
    });
  });
}
