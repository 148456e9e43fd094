/** Work on several items at a time, its results in the order of the items. */

/**
 * Calls `work` for each item, for at most `depth` of them at once, and yields the results in order, each
 * as soon as it and those before it are there. A failure is thrown in its turn; nothing is begun after
 * it, and what is under way has ended by then, but for a wait for the next item.
 */
export async function* inOrder<Item, Result>(
  items: AsyncIterable<Item>,
  depth: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result, void> {
  const source = items[Symbol.asyncIterator]();
  const ahead: Promise<Result>[] = [];
  let next: Promise<IteratorResult<Item>> | undefined;
  let isDone = false;
  try {
    while (!isDone || ahead.length > 0) {
      const [oldest] = ahead;
      const hasRoom = !isDone && ahead.length < depth;
      if (hasRoom) next ??= source.next();
      // An input that has nothing more for now must not hold back what is there.
      const waits: Promise<IteratorResult<Item> | undefined>[] = [];
      if (hasRoom && next !== undefined) waits.push(next);
      if (oldest !== undefined) waits.push(oldest.then(() => undefined));
      const item = await Promise.race(waits);
      if (item === undefined) {
        void ahead.shift();
        yield await (oldest as Promise<Result>);
        continue;
      }
      next = undefined;
      isDone = item.done === true;
      if (item.done !== true) ahead.push(begin(work, item.value));
    }
  } finally {
    next?.catch(() => undefined);
    // If the source is waiting, this would be the end of its wait.
    const closed = source.return?.().catch(() => undefined);
    if (next === undefined) await closed;
    await Promise.allSettled(ahead);
  }
}

function begin<Item, Result>(work: (item: Item) => Promise<Result>, item: Item): Promise<Result> {
  const result = work(item);
  // It is awaited in its turn; until then a failure must not count as unhandled.
  result.catch(() => undefined);
  return result;
}
