/** The texts of a source file of TypeScript, without its code and comments. Enough for this project's style. */

export interface Literal {
  readonly line: number;
  /** As it is written; a newline in the place of each `${...}`, whose own literals come by themselves. */
  readonly text: string;
}

/** A `/` after one of these begins a regular expression. */
const BEFORE_PATTERN = /(?:^|[(,=:[!&|?{};+*%~^<>-]|\b(?:return|typeof|case|in|of))\s*$/;

export function literalsOf(source: string): Literal[] {
  const scanner = new Scanner(source);
  scanner.code();
  return scanner.found;
}

class Scanner {
  readonly found: Literal[] = [];
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  /** To the end of the source or, in a template, to the brace that ends its expression. */
  code(): void {
    let depth = 0;
    let before = '';
    while (this.#at < this.#source.length) {
      const [char = '', next = ''] = this.#source.slice(this.#at, this.#at + 2);
      if (char === '}' && depth-- === 0) return;
      if (char === '{') depth++;
      if (char === '/' && next === '/') this.#skip(/\n|$/g);
      else if (char === '/' && next === '*') this.#skip(/\*\//g);
      else if (char === "'" || char === '"') this.#quoted(char);
      else if (char === '`') this.#template();
      else if (char === '/' && BEFORE_PATTERN.test(before)) {
        this.#skip(/\/(?:\\.|\[(?:\\.|[^\]\\])*\]|[^/\\[])+\//g);
      } else {
        this.#at++;
        before = `${before}${char}`.slice(-20);
        continue;
      }
      before = `${before}"`;
    }
  }

  /** Behind the next match, which may begin here. */
  #skip(pattern: RegExp): void {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#source);
    this.#at = match === null ? this.#source.length : match.index + Math.max(1, match[0].length);
  }

  #quoted(quote: string): void {
    const start = this.#at + 1;
    this.#at = start;
    while (this.#source[this.#at] !== quote) this.#at += this.#source[this.#at] === '\\' ? 2 : 1;
    this.#keep(start, this.#source.slice(start, this.#at));
    this.#at++;
  }

  #template(): void {
    const start = ++this.#at;
    let text = '';
    while (this.#source[this.#at] !== '`') {
      if (this.#source.startsWith('${', this.#at)) {
        this.#at += 2;
        this.code();
        text += '\n';
        this.#at++;
        continue;
      }
      const length = this.#source[this.#at] === '\\' ? 2 : 1;
      text += this.#source.slice(this.#at, this.#at + length);
      this.#at += length;
    }
    this.#keep(start, text);
    this.#at++;
  }

  #keep(start: number, text: string): void {
    this.found.push({ line: this.#source.slice(0, start).split('\n').length, text });
  }
}
