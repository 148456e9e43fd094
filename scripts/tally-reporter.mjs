// A node:test reporter for scripts/check: one line a test, tab-separated, for counting.
//   pass <name>    fail <name>    skip <name> <reason>
//   campaign <name> <cases> <escaped> <seed>
// Suites are not counted, only the tests in them; one that is skipped as a whole counts as a test.

/** @param {unknown} text */
const oneLine = (text) => String(text).replace(/\s+/g, ' ');

export default async function* tally(events) {
  for await (const { type, data } of events) {
    if (type === 'test:diagnostic' && data.message.startsWith('campaign\t')) {
      yield `${data.message}\n`;
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const reason = data.skip ?? data.todo;
    if (data.details?.type === 'suite' && data.skip === undefined) continue;
    if (type === 'test:fail' && data.todo === undefined) {
      yield `fail\t${oneLine(data.name)}\n`;
    } else if (reason !== undefined && reason !== false) {
      yield `skip\t${oneLine(data.name)}\t${reason === true ? 'no reason given' : oneLine(reason)}\n`;
    } else {
      yield `pass\t${oneLine(data.name)}\n`;
    }
  }
}
