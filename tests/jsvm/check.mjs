// Runs the tests and compares what fails with `expected_failures.txt`, a list that only shrinks: a failure that is not in
// it is an error, and so is a listed test that passes or is gone.

import { spawnSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";

const here = new URL(".", import.meta.url);
const passed = new Set();
const failed = new Set();
// File by file: the events of files that run at once are mixed.
for (const file of readdirSync(here).filter((name) => name.endsWith(".test.mjs"))) {
  const run = spawnSync(process.execPath, ["--test", "--test-reporter=./support/lines.mjs", file], {
    cwd: here,
    encoding: "utf8",
    maxBuffer: 64 << 20,
    timeout: 10 * 60 * 1000,
  });
  for (const line of run.stdout.split("\n")) {
    if (line.startsWith("ok ")) passed.add(`${file} > ${line.slice(3)}`);
    if (line.startsWith("not ok ")) failed.add(`${file} > ${line.slice(7)}`);
  }
  if (run.status !== 0 && run.stderr) console.log(run.stderr);
}
const listed = readFileSync(new URL("expected_failures.txt", here), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"));
const expected = new Set(listed);
const surprises = [...failed].filter((name) => !expected.has(name));
const mended = [...expected].filter((name) => !failed.has(name));
for (const name of surprises) console.log(`fails and is not expected to: ${name}`);
for (const name of mended) console.log(`does not fail any more, take it off the list: ${name}`);
console.log(`${passed.size} passed, ${failed.size} failed, ${expected.size} of them expected`);
process.exit(surprises.length + mended.length > 0 || passed.size === 0 ? 1 : 0);
