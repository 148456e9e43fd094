/** Where the self-contained executable begins: variables for another Node.js do not reach the one inside. */

/** Node obeys some of these before the first line of a program runs. */
const FOR_NODE = /^(NODE|OPENSSL|UV)_/;

const kept = Object.entries(process.env).filter(([name]) => !FOR_NODE.test(name));

/** Replaces the process (execve(2)) with the same without them. Node 23.11 and newer have it. */
interface Replaceable {
  execve(file: string, args: readonly string[], env: NodeJS.ProcessEnv): never;
}

if (kept.length < Object.keys(process.env).length) {
  const args = [process.execPath, ...process.argv.slice(2)];
  (process as unknown as Replaceable).execve(process.execPath, args, Object.fromEntries(kept));
}

void import('./main.js');
