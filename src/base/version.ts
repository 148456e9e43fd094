/** Compiled in, so that no run depends on finding package.json; a test keeps the two equal. */
export const VERSION = '4.0.0-alpha.1';

export const VERSION_LINE = `lvmsync ${VERSION} (Node.js ${process.versions.node})\n`;
