/// <reference path="../pb_data/types.d.ts" />
// A file with the other ending; what it holds is plain JavaScript.

routerAdd("GET", "/jsvm/ts", (e) => e.json(200, { from: "a .pb.ts file" }))
