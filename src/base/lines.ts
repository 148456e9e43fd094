/** Cuts what a peer prints into lines, however it arrives and however long they are. Pure. */

/** A longer line is cut into pieces of this: a peer that never ends one must not fill our memory. Characters. */
export const LONGEST_LINE = 8192;

export class LineSplitter {
  readonly #decoder = new TextDecoder('utf-8');
  #rest = '';

  /** The lines that are whole now, without their ends. A carriage return ends a line, too. */
  push(bytes: Uint8Array): string[] {
    return this.#take(this.#decoder.decode(bytes, { stream: true }));
  }

  /** The rest, when nothing more will come. */
  end(): string[] {
    const lines = this.#take(this.#decoder.decode());
    const last = this.#rest;
    this.#rest = '';
    return last === '' ? lines : [...lines, last];
  }

  #take(text: string): string[] {
    const parts = (this.#rest + text).split(/\r\n|\n|\r/);
    let rest = parts.pop() ?? '';
    // A carriage return at the very end may be the first half of an ending; an empty line is not shown.
    const lines = parts.filter((line) => line !== '').flatMap(pieces);
    while (rest.length > LONGEST_LINE) {
      lines.push(rest.slice(0, LONGEST_LINE));
      rest = rest.slice(LONGEST_LINE);
    }
    this.#rest = rest;
    return lines;
  }
}

function pieces(line: string): string[] {
  const cut: string[] = [];
  for (let at = 0; at < line.length; at += LONGEST_LINE)
    cut.push(line.slice(at, at + LONGEST_LINE));
  return cut;
}
