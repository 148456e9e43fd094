/** Takes the place of the package lz4-napi in a self-contained executable. */

import { loadEmbedded } from './addon-embedded.js';

type Lz4Napi = Pick<typeof import('lz4-napi'), 'compress' | 'uncompress' | 'uncompressSync'>;

export const { compress, uncompress, uncompressSync } = loadEmbedded('lz4-napi.node') as Lz4Napi;
