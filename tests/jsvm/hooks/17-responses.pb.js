// Answers of every kind.

routerAdd("GET", "/jsvm/answer/json", (e) => e.json(201, { text: "<a&b>", list: [1, 2.5, true, null], nested: { deep: ["x"] } }))
routerAdd("GET", "/jsvm/answer/string", (e) => e.string(202, "größer"))
routerAdd("GET", "/jsvm/answer/html", (e) => e.html(200, "<h1>Title</h1>"))
routerAdd("GET", "/jsvm/answer/xml", (e) => e.xml(200, "text"))
routerAdd("GET", "/jsvm/answer/blob", (e) => e.blob(200, "application/x-bytes", toBytes("bytes \u00e9")))
routerAdd("GET", "/jsvm/answer/numbers", (e) => e.blob(200, "application/octet-stream", [1, 2, 255]))
routerAdd("GET", "/jsvm/answer/none", (e) => e.noContent(204))
routerAdd("GET", "/jsvm/answer/redirect", (e) => e.redirect(307, "/jsvm/answer/string?to=1"))
routerAdd("GET", "/jsvm/answer/bad-redirect", (e) => e.redirect(200, "/"))
routerAdd("GET", "/jsvm/answer/stream", (e) => {
  const filesystem = $app.newFilesystem()
  const file = $filesystem.fileFromBytes("streamed text", "streamed.txt")
  try {
    filesystem.uploadFile(file, "jsvm/streamed.txt")
    const reader = filesystem.getReader("jsvm/streamed.txt")
    try {
      return e.stream(200, "text/x-streamed", reader)
    } finally {
      reader.close()
    }
  } finally {
    filesystem.close()
  }
})
routerAdd("GET", "/jsvm/answer/header", (e) => {
  e.response.header().set("X-One", "1")
  e.response.header().add("X-Two", "a")
  e.response.header().add("X-Two", "b")
  e.response.header().set("Content-Type", "application/vnd.own+json")
  return e.json(200, {})
})
routerAdd("GET", "/jsvm/answer/cookie", (e) => {
  e.setCookie(new Cookie({ name: "flavour", value: "vanilla", path: "/", maxAge: 60, httpOnly: true, secure: true }))
  return e.noContent(204)
})
routerAdd("GET", "/jsvm/answer/read-cookie", (e) => {
  const cookie = e.request.cookie("flavour")
  return e.json(200, { name: cookie.name, value: cookie.value })
})
routerAdd("GET", "/jsvm/answer/record", (e) => {
  const note = new Record($app.findCollectionByNameOrId("notes"), { title: "as JSON", n: 3, meta: { a: [1] }, unknown: "x" })
  return e.json(200, { one: note, list: [note], title: note.get("title") })
})
routerAdd("GET", "/jsvm/answer/twice", (e) => {
  e.string(200, "first")
  return e.written() ? undefined : e.string(500, "not written")
})
routerAdd("GET", "/jsvm/answer/status", (e) => {
  e.json(207, { written: e.written(), status: e.status() })
  $app.store().set("answered", [e.written(), e.status()])
})
routerAdd("GET", "/jsvm/answer/answered", (e) => e.json(200, $app.store().get("answered")))
routerAdd("GET", "/jsvm/answer/throw-late", (e) => {
  e.string(200, "already sent")
  throw new BadRequestError("too late")
})
routerAdd("GET", "/jsvm/answer/fields", (e) => e.json(200, { a: 1, b: { c: 2, d: 3 }, list: [{ x: 1, y: 2 }] }))
routerAdd("GET", "/jsvm/answer/values", (e) => {
  return e.json(200, { undef: undefined, nul: null, date: new Date(0), int: 1.0, big: 12345678901234, small: 0.1, nested: [undefined, [null]], dt: new DateTime("2024-01-02 03:04:05.678Z") })
})
