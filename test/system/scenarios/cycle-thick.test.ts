import { after } from 'node:test';
import { campaignSize } from '../../helpers/faults/campaign.js';
import { proveCycles } from '../harness/prove-cycles.js';
import { HOST, SshServer } from '../harness/sshd.js';

// For a release over ssh, where there is a server: the chain and the copy are on "another host" then.
// Otherwise cycle-guide goes there.
const missing =
  campaignSize({ commit: 0, release: 1 }) === 0 ? 'only for a release' : SshServer.missing();
if (missing !== undefined) console.log(`# not over ssh: ${missing}`);
const server = missing === undefined ? SshServer.start() : undefined;
after(() => server?.stop());

proveCycles('thick', server === undefined ? {} : { host: `root@${HOST.right}:` });
