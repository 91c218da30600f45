// Files: upload, download, thumbs, protection, replacing and removing.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { file, OPEN, text } from "./support/fields.mjs";
import { png, pngSize } from "./support/png.mjs";
import { failure, useServer } from "./support/server.mjs";

const server = useServer(async (root) => {
  await root.collections.create({
    name: "docs",
    type: "base",
    ...OPEN,
    fields: [
      text("title"),
      file("attachment", { maxSize: 1000 }),
      file("pictures", { maxSelect: 3, mimeTypes: ["image/png"], thumbs: ["10x10", "0x5"] }),
    ],
  });
  await root.collections.create({
    name: "secrets",
    type: "base",
    ...OPEN,
    viewRule: "@request.auth.id != ''",
    fields: [file("paper", { protected: true })],
  });
  await root.collection("users").create({ email: "ann@example.com", password: "12345678", passwordConfirm: "12345678" });
});

const blob = (content, type = "text/plain") => new Blob([content], { type });

async function download(url, init) {
  const answer = await fetch(url, init);
  return { status: answer.status, headers: answer.headers, text: answer.ok ? await answer.text() : "" };
}

async function upload(pb, name, content) {
  const form = new FormData();
  form.append("title", "With a file");
  form.append("attachment", blob(content), name);
  return pb.collection("docs").create(form);
}

describe("upload and download", () => {
  test("FormData stores the file under a name of its own", async () => {
    const pb = server.client();
    const record = await upload(pb, "My notes.txt", "hello");
    assert.match(record.attachment, /^my_notes_\w{10}\.txt$/);
    const url = pb.files.getURL(record, record.attachment);
    const got = await download(url);
    assert.equal(got.text, "hello");
    assert.match(got.headers.get("content-type"), /^text\/plain/);
    assert.equal((await download(`${url}x`)).status, 404);
  });

  test("a plain object with Blobs is sent as a form too", async () => {
    const pb = server.client();
    const record = await pb.collection("docs").create({ title: "Object", attachment: new File([blob("object")], "a.txt") });
    assert.equal(record.title, "Object");
    assert.equal((await download(pb.files.getURL(record, record.attachment))).text, "object");
  });

  test("download=1 asks for saving, a range gets a part", async () => {
    const pb = server.client();
    const record = await upload(pb, "range.txt", "0123456789");
    const saved = await download(pb.files.getURL(record, record.attachment, { download: true }));
    assert.match(saved.headers.get("content-disposition"), /^attachment/);
    const part = await download(pb.files.getURL(record, record.attachment), { headers: { Range: "bytes=2-4" } });
    assert.equal(part.status, 206);
    assert.equal(part.text, "234");
  });

  test("several files keep their order; + adds and - removes", async () => {
    const pb = server.client();
    const docs = pb.collection("docs");
    const form = new FormData();
    form.append("pictures", png(4, 4), "one.png");
    form.append("pictures", png(4, 4), "two.png");
    const record = await docs.create(form);
    assert.deepEqual(record.pictures.map((name) => name.slice(0, 3)), ["one", "two"]);
    const more = await docs.update(record.id, { "pictures+": new File([png(4, 4)], "three.png") });
    assert.equal(more.pictures.length, 3);
    const [one] = record.pictures;
    const less = await docs.update(record.id, { "pictures-": [one] });
    assert.deepEqual(less.pictures, more.pictures.slice(1));
    assert.equal((await download(pb.files.getURL(record, one))).status, 404);
    assert.equal((await download(pb.files.getURL(record, less.pictures[0]))).status, 200);
  });

  test("replacing removes the old file, and so does deleting the record", async () => {
    const pb = server.client();
    const docs = pb.collection("docs");
    const record = await upload(pb, "old.txt", "old");
    const changed = await docs.update(record.id, { attachment: new File([blob("new")], "new.txt") });
    assert.equal((await download(pb.files.getURL(record, record.attachment))).status, 404);
    assert.equal((await download(pb.files.getURL(changed, changed.attachment))).text, "new");
    await docs.delete(record.id);
    assert.equal((await download(pb.files.getURL(changed, changed.attachment))).status, 404);
  });

  test("an empty value removes the file", async () => {
    const pb = server.client();
    const record = await upload(pb, "drop.txt", "drop");
    const empty = await pb.collection("docs").update(record.id, { attachment: null });
    assert.equal(empty.attachment, "");
    assert.equal((await download(pb.files.getURL(record, record.attachment))).status, 404);
  });
});

describe("checks", () => {
  test("too large, of the wrong type, too many", async () => {
    const docs = server.client().collection("docs");
    const code = async (data) => {
      const error = await failure(docs.create(data));
      assert.equal(error.status, 400);
      const [first] = Object.values(error.response.data);
      return first.code;
    };
    assert.equal(await code({ attachment: new File([blob("x".repeat(1001))], "big.txt") }), "validation_file_size_limit");
    assert.equal(await code({ pictures: [new File([blob("text")], "not.png")] }), "validation_invalid_mime_type");
    const four = [1, 2, 3, 4].map((n) => new File([png(2, 2)], `${n}.png`));
    assert.equal(await code({ pictures: four }), "validation_too_many_files");
  });

  test("a file name cannot lead out of the folder", async () => {
    const pb = server.client();
    const record = await upload(pb, "../../../etc/passwd", "path");
    assert.doesNotMatch(record.attachment, /[/\\]|\.\./);
    const folder = `${server.url}/api/files/docs/${record.id}`;
    for (const path of ["..%2f..%2fdata.db", "%2e%2e/%2e%2e/data.db", "..%5cdata.db", "%00"]) {
      const { status } = await download(`${folder}/${path}`);
      assert.ok(status >= 400 && status < 500, `${path}: ${status}`);
    }
  });
});

describe("thumbs", () => {
  test("of a declared size are made, others give the original", async () => {
    const pb = server.client();
    const form = new FormData();
    form.append("pictures", png(40, 20), "wide.png");
    const record = await pb.collection("docs").create(form);
    const size = async (thumb) => {
      const answer = await fetch(pb.files.getURL(record, record.pictures[0], { thumb }));
      assert.equal(answer.headers.get("content-type"), "image/png");
      return pngSize(await answer.arrayBuffer());
    };
    assert.deepEqual(await size("10x10"), [10, 10]);
    assert.deepEqual(await size("0x5"), [10, 5]);
    assert.deepEqual(await size("100x100"), [100, 100]); // the size every file field has, for the dashboard
    assert.deepEqual(await size("7x7"), [40, 20]);
  });
});

describe("protected files", () => {
  test("need a token of somebody who may view the record", async () => {
    const root = server.superuser;
    const record = await root.collection("secrets").create({ paper: new File([blob("secret")], "paper.txt") });
    const pb = server.client();
    assert.equal((await download(pb.files.getURL(record, record.paper))).status, 404);
    await pb.collection("users").authWithPassword("ann@example.com", "12345678");
    const token = await pb.files.getToken();
    assert.equal((await download(pb.files.getURL(record, record.paper, { token }))).text, "secret");
    const notAFileToken = pb.authStore.token;
    assert.equal((await download(pb.files.getURL(record, record.paper, { token: notAFileToken }))).status, 404);
    assert.equal((await failure(server.client().files.getToken())).status, 401);
  });
});
