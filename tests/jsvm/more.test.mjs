// What scripts use less often: the rest of queries, records, files and the machine.

import assert from "node:assert/strict";
import { test } from "node:test";

import { area, made, matches, rows } from "./support/jsvm.mjs";

const get = (prefix) => (name, what, expected, status = 200) => [name, "GET", `/jsvm/${prefix}/${what}`, undefined, status, expected];
const post = (prefix) => (name, what, expected, status = 200) => [name, "POST", `/jsvm/${prefix}/${what}`, undefined, status, expected];

async function fill(call) {
  await made(call, "notes", { title: "zero", n: 0, level: "high" });
  await made(call, "notes", { title: "one", n: 1, level: "low" });
  const two = await made(call, "notes", { title: "two", n: 2, level: "high" });
  for (const text of ["a", "b"]) await made(call, "comments", { text, note: two.id });
}

area("more queries", { hooks: ["50"], prepare: fill }, (call) => {
  const query = get("queries");
  rows(call, [
    query("column", "column", ["zero", "one", "two"]),
    query("row", "row", ["two", 2]),
    query("andOrderBy", "order", ["two", "zero", "one"]),
    query("innerJoin and andHaving", "having", [["two", 2]]),
    query("rightJoin", "right-join", ["zero", "one"]),
    query("union", "union", ["two", "zero"]),
    query("build", "build", { sql: true, params: 1, title: "two" }),
    query("rows", "rows", [["zero", 0], ["one", 1]]),
    query("both pools", "pools", ["two", "two"]),
    query("modelQuery", "models", ["two", true, true]),
  ]);
});

area("more of the models", { hooks: ["51"] }, (call) => {
  const more = get("more");
  rows(call, [
    more("records", "record", { n: 5, raw: "raw", body: "set", nothing: true, states: [true, false], resolved: [7, "x"], exported: ["more", 5, true] }),
    more("the field of a file", "files", { field: "pics", none: true }),
    more("the record of a view's file", "view-file", { same: true, of: "notes", missing: true }),
    more("accounts", "account", { visible: [true, "more@example.com"], key: true, other: true }),
    more("ignoreUnchangedFields", "unchanged", ["changed", "by another"]),
    more("with a context", "context", { refused: true, level: "neither", left: 0 }),
    more("collections", "collection", { kinds: [true, false], names: ["id", "one", "two"], left: ["id", "two"] }),
    more("import of JSON", "import", { one: "text", settings: true }),
    more("the store", "store", { all: { a: 11, b: 2, c: 3 }, values: [2, 3, 11], length: 3, limited: [true, false], emptied: 0 }),
    more("the logger", "logger", "", 204),
    more("txInfo", "transaction", { seen: ["inside", "done", "failed"], outside: true }),
    more("the pattern of a request", "request", { pattern: "GET /jsvm/more/{what}" }),
  ]);
});

area("the machine", { hooks: ["52"] }, (call) => {
  const machine = post("machine");
  rows(call, [
    machine("fileFromPath", "from-path", { name: /^one_\w{10}\.txt$/, original: "one.txt", size: 5, content: "first" }),
    machine("a folder as a storage", "local", { exists: [true, false], three: "third", list: ["deep/two.txt"], text: "first" }),
    machine("thumbs", "thumb", { made: true, size: true, wrong: true }),
    machine("served", "serve", "first"),
    machine("paths", "paths", { glob: ["one.txt"], walked: [[".", true], ["deep", true], ["deep/two.txt", false], ["one.txt", false]], entries: ["deep", "two.txt", "one.txt"] }),
    machine("files and commands", "os", { cut: "fi", made: true, removed: true, output: "by exec\n" }),
    machine("roots", "roots", ["first", 5, true, "first", true]),
    machine("templates from a folder", "template", "Hello &lt;Ann&gt;"),
    machine("forms", "forms", { apple: true, mail: true, s3: true }),
  ]);
  test("an uploaded file is stored and read again", async () => {
    const form = new FormData();
    form.append("upload", new Blob(["uploaded"]), "my upload.txt");
    const answer = await call("POST", "/jsvm/machine/from-multipart", form);
    assert.equal(answer.status, 200, answer.text);
    matches(answer.json, { name: "my upload.txt", again: ["my upload.txt", 8, "uploaded"], empty: [false, true] });
    const parts = await call("POST", "/jsvm/machine/multipart", form);
    matches(parts.json, { header: ["my upload.txt", 8], file: ["my upload.txt", 8], read: "uploaded", text: "uploaded" });
  });
});
