// The Record class: reading, changing, copying, exporting.

routerAdd("GET", "/jsvm/record/{what}", (e) => {
  const notes = $app.findCollectionByNameOrId("notes")
  switch (e.request.pathValue("what")) {
    case "getters": {
      const note = new Record(notes, { title: "12.7", n: "5.5", done: "true", tags: ["red", "blue"], level: ["low", "high"], meta: { a: { b: [1] } }, due: "2024-05-06 07:08:09.123Z", place: { lon: 1.5, lat: 2.5 } })
      return e.json(200, {
        get: note.get("title"), string: note.getString("n"), int: [note.getInt("n"), note.getInt("title"), note.getInt("body")], float: note.getFloat("title"), bool: [note.getBool("done"), note.getBool("title"), note.getBool("body")],
        slice: [note.getStringSlice("tags"), note.getStringSlice("title"), note.getStringSlice("body")], level: note.get("level"), date: note.getDateTime("due").string(), noDate: note.getDateTime("body").isZero(),
        place: [note.get("place").lon, note.getGeoPoint("place").lat], missing: note.get("missing") === null, empty: note.get("body"), numberType: typeof note.get("n"), boolType: typeof note.get("done"), tagsType: Array.isArray(note.get("tags")), created: note.getString("created"),
      })
    }
    case "json-field": {
      const note = new Record(notes, { title: "json", meta: { a: { b: [1, 2] }, text: "x" } })
      const model = new DynamicModel({ text: "", a: {} })
      note.unmarshalJSONField("meta", model)
      return e.json(200, { string: note.getString("meta"), parsed: JSON.parse(note.getString("meta")).a.b[1], text: model.text, a: model.a.get("b"), list: JSON.parse(String(new Record(notes, { meta: [1] }).get("meta"))), none: note.original().getString("meta") })
    }
    case "modifiers": {
      const note = new Record(notes, { title: "mod", n: 5, tags: ["red"] })
      note.set("n+", 3)
      note.set("n-", 1)
      note.set("tags+", ["blue", "green"])
      note.set("tags-", "red")
      note.set("+tags", "red")
      note.set("slug:autogenerate", "")
      return e.json(200, { n: note.get("n"), tags: note.get("tags"), slug: note.get("slug") })
    }
    case "states": {
      const note = new Record(notes)
      note.load({ title: "state", n: 1, tags: "red", unknown: 5 })
      const wasNew = note.isNew()
      const before = note.id
      $app.save(note)
      note.set("title", "changed")
      const found = $app.findRecordById("notes", note.id)
      const clone = note.clone()
      clone.set("title", "clone")
      return e.json(200, {
        wasNew: wasNew, before: before, isNew: note.isNew(), id: note.id.length, original: note.original().get("title"), fresh: note.fresh().get("title"), clone: [clone.get("title"), note.get("title"), clone.id === note.id],
        found: found.get("title"), tags: note.get("tags"), custom: note.customData()["unknown"], inDatabase: found.get("unknown") === null, collection: [note.collection().name, note.collection().id, note.tableName()], path: note.baseFilesPath(),
        created: note.getDateTime("created").isZero(),
      })
    }
    case "export": {
      const note = new Record(notes, { id: "abcdefghijklmno", title: "export", secret: "s", n: 2, extra: "custom" })
      const plain = note.publicExport()
      note.hide("secret", "title")
      const hidden = note.publicExport()
      note.unhide("title").withCustomData(true)
      const custom = note.publicExport()
      return e.json(200, {
        plain: [plain.title, plain.secret, plain.n, plain["collectionName"], plain["extra"] === undefined], hidden: [hidden["title"] === undefined, hidden["secret"] === undefined, hidden.n], custom: [custom.title, custom.extra],
        fields: Object.keys(note.fieldsData()).length > 5, stringified: JSON.parse(JSON.stringify(note)).extra,
      })
    }
    case "properties": {
      const note = new Record(notes, { id: "abcdefghijklmno", title: "props" })
      const property = note.title
      note.id = "zyxwvutsrqponml"
      return e.json(200, { property: property === undefined, id: note.id, got: note.get("id"), expando: note.get("title") })
    }
    case "expand": {
      const note = new Record(notes, { title: "expand" })
      const other = new Record(notes, { id: "abcdefghijklmno", title: "other" })
      note.setExpand({ owner: other })
      note.mergeExpand({ third: other })
      return e.json(200, { one: note.expandedOne("owner").get("title"), allOfOne: note.expandedAll("owner").length, none: note.expandedAll("none").length, keys: Object.keys(note.expand()).sort() })
    }
    case "dates": {
      const note = new Record(notes, { title: "dates" })
      note.set("due", new DateTime("2024-02-03 04:05:06.007Z"))
      const first = note.getString("due")
      note.set("due", new Date(Date.UTC(2024, 0, 2)))
      const second = note.getString("due")
      note.set("due", "")
      return e.json(200, { dateTime: first, date: second, cleared: note.get("due").isZero(), text: note.getString("due") })
    }
  }
})
