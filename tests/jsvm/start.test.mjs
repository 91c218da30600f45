// All hook files and migrations at once: the server starts, and the API is there.

import { area, HOOK_FILES, rows } from "./support/jsvm.mjs";

area(`all ${HOOK_FILES.length} hook files together`, { hooks: [""], migrations: true, bare: true }, (call) => {
  rows(call, [
    ["the server answers", "GET", "/api/health", undefined, 200, { code: 200 }],
    ["a .pb.ts file runs", "GET", "/jsvm/ts", undefined, 200, { from: "a .pb.ts file" }],
    ["the first file's neighbours run", "GET", "/jsvm/hello/world", undefined, 200, "Hello world"],
  ]);
});
