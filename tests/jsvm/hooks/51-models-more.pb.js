// The less common parts of records, collections, the store, the logger and saving.

routerAdd("GET", "/jsvm/more/{what}", (e) => {
  const notes = $app.findCollectionByNameOrId("notes")
  const utils = require(`${__hooks}/utils.js`)
  const context = new Context(null, "who", "script")
  switch (e.request.pathValue("what")) {
    case "record": {
      const note = new Record(notes, { id: "jsvmmore0000001", title: "more", n: 5 })
      note.setRaw("slug", "raw")
      note.setIfFieldExists("body", "set")
      note.setIfFieldExists("nothing", "left out")
      const isNew = note.isNew()
      note.markAsNotNew()
      const marked = note.isNew()
      note.markAsNew()
      const resolved = note.replaceModifiers({ "n+": 2, title: "x" })
      $app.save(note)
      const exported = note.dbExport($app)
      return e.json(200, { n: note.get("n"), raw: note.getRaw("slug"), body: note.get("body"), nothing: note.get("nothing") === null || note.get("nothing") === undefined, states: [isNew, marked], resolved: [resolved.n, resolved.title], exported: [exported.title, exported.n, Object.keys(exported).includes("id")] })
    }
    case "files": {
      const note = new Record(notes, { title: "file" })
      note.set("pics", $filesystem.fileFromBytes("content", "a file.txt"))
      $app.save(note)
      const name = note.get("pics")[0]
      const field = note.findFileFieldByFile(name)
      return e.json(200, { field: field.getName ? field.getName() : field.name, none: note.findFileFieldByFile("other.txt") === null || note.findFileFieldByFile("other.txt") === undefined })
    }
    case "view-file": {
      const note = new Record(notes, { title: "viewed" })
      note.set("pics", $filesystem.fileFromBytes("content", "viewed.txt"))
      $app.save(note)
      const view = new Collection({ name: "pics_view", type: "view", viewQuery: "SELECT id, pics FROM notes" })
      $app.save(view)
      const found = $app.findRecordByViewFile("pics_view", "pics", note.get("pics")[0])
      const missing = utils.thrown(() => $app.findRecordByViewFile("pics_view", "pics", "missing.txt")) !== ""
      $app.delete(view)
      return e.json(200, { same: found.id === note.id, of: found.collection().name, missing })
    }
    case "account": {
      const user = new Record($app.findCollectionByNameOrId("users"), { email: "more@example.com", name: "more" })
      user.setPassword("1234567890")
      user.setEmailVisibility(true)
      user.setTokenKey("k".repeat(50))
      const key = user.tokenKey()
      user.refreshTokenKey()
      $app.save(user)
      const visible = [user.emailVisibility(), user.publicExport().email]
      $app.delete(user)
      return e.json(200, { visible, key: key === "k".repeat(50), other: user.tokenKey() !== key && user.tokenKey().length >= 30 })
    }
    case "unchanged": {
      const note = new Record(notes, { title: "unchanged" })
      note.ignoreUnchangedFields(true)
      $app.save(note)
      const again = $app.findRecordById("notes", note.id)
      again.ignoreUnchangedFields(true)
      $app.db().newQuery("UPDATE notes SET body = 'by another' WHERE id = {:id}").bind({ id: note.id }).execute()
      again.set("slug", "changed")
      $app.save(again)
      const stored = $app.findRecordById("notes", note.id)
      return e.json(200, [stored.get("slug"), stored.get("body")])
    }
    case "context": {
      const note = new Record(notes, { title: "context" })
      $app.saveWithContext(context, note)
      $app.validateWithContext(context, note)
      note.set("level", "neither")
      const refused = utils.thrown(() => $app.validateWithContext(context, note)) !== ""
      $app.saveNoValidateWithContext(context, note)
      const level = $app.findRecordById("notes", note.id).get("level")
      $app.deleteWithContext(context, note)
      return e.json(200, { refused, level, left: $app.findRecordsByIds("notes", [note.id]).length })
    }
    case "collection": {
      const collection = new Collection({ name: "c_more", type: "base" })
      collection.fields.addMarshaledJSON(JSON.stringify([{ id: "one1", name: "one", type: "text" }, { id: "two2", name: "two", type: "number" }]))
      const names = collection.fields.fieldNames()
      collection.fields.removeById("one1")
      return e.json(200, { kinds: [collection.isBase(), collection.isAuth()], names, left: collection.fields.fieldNames() })
    }
    case "import": {
      $app.importCollectionsByMarshaledJSON(JSON.stringify([{ name: "imported_json", type: "base", fields: [{ name: "one", type: "text" }] }]), false)
      $app.reloadCachedCollections()
      $app.reloadSettings()
      const found = $app.findCollectionByNameOrId("imported_json")
      $app.delete(found)
      return e.json(200, { one: found.fields.getByName("one").type(), settings: $app.settings().meta.appName.length > 0 })
    }
    case "store": {
      const store = $app.store()
      const before = store.getAll()
      store.reset({ a: 1, b: 2 })
      store.setFunc("a", (old) => old + 10)
      const limited = [store.setIfLessThanLimit("c", 3, 3), store.setIfLessThanLimit("d", 4, 3)]
      const seen = { all: store.getAll(), values: store.values().sort((a, b) => a - b), length: store.length() }
      store.removeAll()
      const emptied = store.length()
      store.reset(before)
      return e.json(200, { ...seen, limited, emptied })
    }
    case "logger": {
      const logger = $app.logger().withGroup("group")
      logger.debug("debug", "a", 1)
      logger.warn("warn", "a", { b: 1 })
      logger.error("error", "a", [1])
      return e.noContent(204)
    }
    case "transaction": {
      const seen = []
      $app.runInTransaction((app) => {
        app.txInfo().onComplete((error) => { seen.push(error ? "failed" : "done") })
        seen.push("inside")
      })
      try {
        $app.runInTransaction((app) => {
          app.txInfo().onComplete((error) => { seen.push(error ? "failed" : "done") })
          throw new BadRequestError("out")
        })
      } catch { /* as meant */ }
      return e.json(200, { seen, outside: $app.txInfo() === null || $app.txInfo() === undefined })
    }
    case "request": {
      e.flush()
      return e.json(200, { pattern: e.request.pattern })
    }
  }
})
