/** Where on a device the changes lie: a row of cells, however large the device turns out to be. */

const CELLS = 64;
const SMALLEST_CELL = 4096;
const SHADES = ' \u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588';

export class DeviceMap {
  /** Changed bytes of each cell. */
  readonly #cells = new Float64Array(CELLS);
  #cellSize = SMALLEST_CELL;
  #end = 0;

  add(offset: number, length: number): void {
    this.stretchTo(offset + length);
    for (let at = offset; at < offset + length; ) {
      const cell = Math.floor(at / this.#cellSize);
      const next = Math.min(offset + length, (cell + 1) * this.#cellSize);
      this.#cells[cell] = (this.#cells[cell] ?? 0) + next - at;
      at = next;
    }
  }

  /** The device is at least so long, in bytes. */
  stretchTo(size: number): void {
    this.#end = Math.max(this.#end, size);
    while (this.#cellSize * CELLS < this.#end) this.#double();
  }

  /** Bytes of the device that a cell stands for; the last one may stand for less. */
  get cellSize(): number {
    return this.#cellSize;
  }

  /** Changed share, 0 to 1, of each cell of the device. */
  get shares(): number[] {
    const count = Math.ceil(this.#end / this.#cellSize);
    return Array.from({ length: count }, (_, cell) => {
      const size = Math.min(this.#cellSize, this.#end - cell * this.#cellSize);
      return Math.min(1, (this.#cells[cell] ?? 0) / size);
    });
  }

  /** A character a cell: the fuller the more of it changed, a blank only where nothing did. */
  draw(): string {
    const shades = [...SHADES];
    return this.shares.map((share) => shades[Math.ceil(share * (shades.length - 1))]).join('');
  }

  #double(): void {
    for (let cell = 0; cell < CELLS; cell++) {
      const pair = (this.#cells[2 * cell] ?? 0) + (this.#cells[2 * cell + 1] ?? 0);
      this.#cells[cell] = pair;
    }
    this.#cellSize *= 2;
  }
}
