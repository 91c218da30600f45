// Request bodies: JSON, forms, files and raw bytes.

routerAdd("POST", "/jsvm/body/info", (e) => {
  const body = e.requestInfo().body
  return e.json(200, { body: body, title: body.title, missing: body.nothing === undefined, type: typeof body.count, keys: Object.keys(body).sort() })
})

routerAdd("POST", "/jsvm/body/bind", (e) => {
  const data = new DynamicModel({ title: "default", count: 0, price: -0, ok: false, tags: [], meta: {}, note: nullString() })
  e.bindBody(data)
  return e.json(200, { data: data, title: data.title, first: data.tags[0], deep: data.meta.get("a"), isNull: data.note === null })
})

// Bound twice: the body can be read again.
routerAdd("POST", "/jsvm/body/twice", (e) => {
  const one = new DynamicModel({ title: "" })
  const two = new DynamicModel({ title: "" })
  e.bindBody(one)
  e.bindBody(two)
  return e.json(200, [one.title, two.title, e.requestInfo().body.title])
})

routerAdd("POST", "/jsvm/body/text", (e) => {
  const text = toString(e.request.body)
  return e.json(200, { text: text, length: text.length, type: e.request.header.get("content-type"), bytes: e.request.contentLength })
})

routerAdd("POST", "/jsvm/body/reader", (e) => e.string(200, readerToString(e.request.body, 5)))

routerAdd("POST", "/jsvm/body/form", (e) => {
  return e.json(200, { value: e.request.formValue("title"), post: e.request.postFormValue("title"), missing: e.request.formValue("missing") })
})

routerAdd("POST", "/jsvm/body/files", (e) => {
  const files = e.findUploadedFiles("docs")
  const note = new Record($app.findCollectionByNameOrId("notes"), { title: e.request.formValue("title") })
  note.set("pics", files)
  $app.save(note)
  return e.json(200, {
    names: files.map((file) => file.originalName),
    sizes: files.map((file) => file.size),
    stored: files.map((file) => /^[a-z0-9_]+_[a-zA-Z0-9]{10}\.\w+$/.test(file.name)),
    kept: note.getStringSlice("pics").length,
  })
})

routerAdd("POST", "/jsvm/body/no-files", (e) => {
  try {
    e.findUploadedFiles("docs")
  } catch (error) {
    return e.json(200, { message: error.message })
  }
})

routerAdd("POST", "/jsvm/body/limited", (e) => e.json(200, { length: toString(e.request.body).length }), $apis.bodyLimit(10))
