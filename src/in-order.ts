/** Work on several items at a time, its results in the order of the items. */

/**
 * Calls `work` for each item, for at most `depth` of them at once, and yields the results in order. A
 * failure is thrown in its turn; nothing is begun after it, and what is under way has ended by then.
 */
export async function* inOrder<Item, Result>(
  items: AsyncIterable<Item>,
  depth: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result, void> {
  const ahead: Promise<Result>[] = [];
  try {
    for await (const item of items) {
      const result = work(item);
      // It is awaited in its turn; until then a failure must not count as unhandled.
      result.catch(() => undefined);
      ahead.push(result);
      if (ahead.length >= depth) yield await (ahead.shift() as Promise<Result>);
    }
    while (ahead.length > 0) yield await (ahead.shift() as Promise<Result>);
  } finally {
    await Promise.allSettled(ahead);
  }
}
