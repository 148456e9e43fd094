import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { after, before, beforeEach, describe, test } from 'node:test';
import { EXIT } from '../../../src/base/errors.js';
import { Campaign, campaignSize } from '../../helpers/faults/campaign.js';
import { assertFails, CLI, type Ending } from '../../helpers/program/cli.js';
import { withThickCopy } from '../harness/copies.js';
import { KiB, MiB } from '../harness/lvm.js';
import { type Cut, type Passage, Relay } from '../harness/relay.js';
import { becomesFree, HOST, RELAY_PORT, SSH_PORT, SshServer } from '../harness/sshd.js';

/** What the client still sends after the stream's last byte, and some more that varies. */
const FAREWELL = KiB;
/** Where the connection is set up and the receiver starts, and where it says how it ended. */
const EDGE = 8 * KiB;

describe('a connection that breaks', { skip: SshServer.missing() ?? false }, () => {
  const lab = withThickCopy({ changes: 400, size: 8 * MiB, elsewhere: true });
  const { random } = lab;
  let server: SshServer;
  let relay: Relay;

  before(async () => {
    server = SshServer.start();
    relay = await Relay.listen(RELAY_PORT, SSH_PORT);
  });
  beforeEach(() => lab.restore());
  after(async () => {
    await relay.close();
    server.stop();
  });

  /** One run whose connection is cut, or not. */
  const sends = async (transport: string, cut?: Cut): Promise<Ending & Passage> => {
    relay.cut = cut;
    const result = await runBeside([
      ...['--transport', transport, '--require-ack'],
      // LVM need not be asked each time where to find these.
      ...['--cow-store', `${lab.snapshot.path}-cow`, '--data-source', lab.origin.path],
      `${HOST.relayed}:${lab.copy.path}`,
    ]);
    // A receiver that lost its sender has to notice before it lets go of the destination.
    await becomesFree(lab.copy.path);
    return { ...result, ...relay.last };
  };

  /** A place before the last byte that matters: in the middle, or near an end. */
  const randomCut = ({ passed }: Passage): Cut => {
    if (random.below(4) === 0) {
      return { direction: 'toClient', afterBytes: random.below(passed.toClient - FAREWELL) };
    }
    const end = passed.toServer - FAREWELL;
    const places = [
      () => random.below(EDGE),
      () => random.below(end),
      () => end - EDGE + random.below(EDGE),
    ];
    const place = places[random.below(places.length)] ?? (() => 0);
    return { direction: 'toServer', afterBytes: place() };
  };

  // In the guest each takes some seconds.
  for (const [transport, count] of [
    ['command', campaignSize({ commit: 8, release: 200 })],
    ['ssh2', campaignSize({ commit: 2, release: 50 })],
  ] as const) {
    test(`is an error at each of ${count} random bytes, and a new run completes (--transport ${transport})`, async (t) => {
      const campaign = new Campaign(t, `T8 cuts of a real ssh, ${transport}`, random.seed);
      const whole = await sends(transport);
      assert.equal(whole.status, 0, whole.stderr);
      assert.equal(whole.cut, false);
      lab.assertEqual();

      for (let i = 0; i < count; i++) {
        const cut = randomCut(whole);
        const place = `${cut.direction} after ${cut.afterBytes} of ${whole.passed[cut.direction]} bytes`;
        await campaign.run(place, async () => {
          lab.restore();
          const broken = await sends(transport, cut);
          assert.ok(broken.cut, `was not cut: ${broken.stderr}`);
          assertFails(broken, EXIT.transport, new RegExp(`^FATAL ERROR: ${HOST.relayed}: `));

          const again = await sends(transport);
          assert.equal(again.status, 0, `after the cut: ${again.stderr}`);
          lab.assertEqual();
        });
      }
      campaign.finish(count);
    });
  }
});

/** Runs lvmsync while this process goes on working: it holds the relay. */
async function runBeside(words: readonly string[]): Promise<Ending> {
  const child = spawn(process.execPath, [CLI, ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
  const [status, stderr] = await Promise.all([
    new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', resolve);
    }),
    text(child.stderr),
  ]);
  return { status, stderr };
}
