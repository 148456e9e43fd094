/** What several samples of one rate say: the one in the middle, and how far the others are from it. Pure. */

export interface Rate {
  /** The median. */
  readonly bytesPerSecond: number;
  /** Of the samples, in the same measure. */
  readonly lowest: number;
  readonly highest: number;
}

/** So many show whether something else was at work meanwhile. */
export const SAMPLES = 5;

/** What was moved in so many seconds. */
export interface Sample {
  readonly bytes: number;
  readonly seconds: number;
}

/** Of at least one sample in which something was moved; all zero for none. */
export function summarize(samples: readonly Sample[]): Rate {
  const rates = samples
    .filter(({ bytes, seconds }) => bytes > 0 && seconds > 0)
    .map(({ bytes, seconds }) => bytes / seconds)
    .sort((a, b) => a - b);
  const at = (index: number): number => rates[index] ?? 0;
  const middle = rates.length / 2;
  const bytesPerSecond =
    rates.length % 2 === 1 ? at(Math.floor(middle)) : (at(middle - 1) + at(middle)) / 2;
  return { bytesPerSecond, lowest: at(0), highest: at(rates.length - 1) };
}

/** Takes the samples one after the other; ends early where `sample` moved nothing. */
export async function takeSamples(sample: () => Promise<Sample>): Promise<Rate> {
  const samples: Sample[] = [];
  while (samples.length < SAMPLES) {
    const one = await sample();
    if (one.bytes === 0) break;
    samples.push(one);
  }
  return summarize(samples);
}

/** What is left of `items` by several loops, one after the other: a loop that is left does not end them. */
export function resumable<T>(items: Iterable<T>): Iterable<T> {
  const iterator = items[Symbol.iterator]();
  return { [Symbol.iterator]: () => ({ next: () => iterator.next() }) };
}
