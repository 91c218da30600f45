// Shared by the hook files, which load it inside each handler: a PocketBase handler does not see its file's scope.

/** Keeps `data` under `name` where a test can read it (see `marks` in support/jsvm.mjs). */
exports.mark = (app, name, data) => {
  if (!app.hasTable("marks")) return // the server makes its own collections first
  const record = new Record(app.findCollectionByNameOrId("marks"))
  record.set("name", name)
  record.set("seq", app.countRecords("marks") + 1)
  record.set("data", data)
  app.save(record)
}

exports.slug = (title) => title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "")

/** Adds `by` to a counter, which begins at 0. */
exports.count = (app, name, by) => {
  let counter
  try {
    counter = app.findFirstRecordByData("counters", "name", name)
  } catch {
    counter = new Record(app.findCollectionByNameOrId("counters"), { name: name })
  }
  counter.set("value+", by)
  app.save(counter)
}

/** The message of what `call` throws, or "" if it does not. */
exports.thrown = (call) => {
  try {
    call()
  } catch (error) {
    return String(error.message || error)
  }
  return ""
}
