// A reporter: one line per test, `ok` or `not ok`, with the suites and the test's name.

export default async function* lines(events) {
  const above = [];
  for await (const { type, data } of events) {
    if (type === "test:start") {
      above[data.nesting] = data.name;
    }
    if (type !== "test:pass" && type !== "test:fail") {
      continue;
    }
    const isTest = data.details?.type !== "suite" && !data.file?.endsWith(data.name);
    if (isTest) {
      const names = [...above.slice(0, data.nesting), data.name];
      yield `${type === "test:pass" ? "ok" : "not ok"} ${names.join(" > ")}\n`;
    }
  }
}
