// scripts/bundle.mjs [--self-contained]
//
// Makes one file of the compiled modules: dist/lvmsync.cjs, which is what gets installed and what the tests
// run. Node starts it in two thirds of the time that the modules take. Packages that few runs need stay
// outside. With --self-contained makes dist/self-contained.cjs, the script of the executable that
// scripts/package builds: with those packages, with addons taken out of the executable, and without the NODE_*
// of the environment.

import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const folder = fileURLToPath(new URL('../dist/', import.meta.url));

const common = {
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node18.20',
  logLevel: 'warning',
  // A quarter less for Node to read at each start; names stay, so that a stack can be read.
  minifyWhitespace: true,
  lineLimit: 160,
};

/** CommonJS has no import.meta. */
const installed = {
  ...common,
  entryPoints: [`${folder}src/main.js`],
  outfile: `${folder}lvmsync.cjs`,
  external: ['ssh2', 'lz4-napi'],
  banner: { js: "const ownUrl = require('node:url').pathToFileURL(__filename).href;" },
  define: { 'import.meta.url': 'ownUrl' },
};

const selfContained = {
  ...common,
  entryPoints: [`${folder}src/self-contained.js`],
  outfile: `${folder}self-contained.cjs`,
  // Of ssh2: its faster ciphers and a look at the processor, both of which it does without.
  external: ['*/sshcrypto.node', 'cpu-features'],
  legalComments: 'eof',
  plugins: [
    {
      name: 'addons from the executable',
      setup({ onResolve }) {
        const instead = (module) => () => ({ path: `${folder}src/host/${module}.js` });
        onResolve({ filter: /\/addon\.js$/ }, instead('addon-embedded'));
        onResolve({ filter: /^lz4-napi$/ }, instead('lz4-embedded'));
      },
    },
  ],
};

await build(process.argv.includes('--self-contained') ? selfContained : installed);
