import { after } from 'node:test';
import { proveCycles } from '../harness/prove-cycles.js';
import { HOST, SshServer } from '../harness/sshd.js';

// Over ssh where there is a server: the chain and the copy are on "another host" then.
const missing = SshServer.missing();
if (missing !== undefined) console.log(`# not over ssh: ${missing}`);
const server = missing === undefined ? SshServer.start() : undefined;
after(() => server?.stop());

proveCycles('thick', server === undefined ? '' : `root@${HOST.right}:`);
