/** The bytes that the XML of the thin tools is made of. Pure. */

/** The ASCII bytes of a tag's or an attribute's name, to compare with. */
export function xmlName(name: string): Uint8Array {
  return Buffer.from(name, 'latin1');
}

/** Classes of bytes. */
export const BLANK = 1;
export const NAME = 2;
export const CLASS = Uint8Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  if (/[ \t\r\n]/.test(character)) return BLANK;
  return /[A-Za-z0-9_.:-]/.test(character) ? NAME : 0;
});

export const NUL = 0;
export const BANG = 0x21;
export const DOUBLE_QUOTE = 0x22;
export const AMPERSAND = 0x26;
export const SINGLE_QUOTE = 0x27;
export const SLASH = 0x2f;
export const DIGIT_0 = 0x30;
export const DIGIT_9 = 0x39;
export const LESS = 0x3c;
export const EQUALS = 0x3d;
export const GREATER = 0x3e;
export const QUESTION = 0x3f;
