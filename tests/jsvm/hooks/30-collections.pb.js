// Collections made, changed and removed by scripts.

routerAdd("POST", "/jsvm/collections/{what}", (e) => {
  const utils = require(`${__hooks}/utils.js`)
  switch (e.request.pathValue("what")) {
    case "create": {
      const collection = new Collection({
        type: "base", name: "scripted", listRule: "", viewRule: "title != ''", createRule: null,
        fields: [
          { name: "title", type: "text", required: true, max: 10 },
          { name: "owner", type: "relation", collectionId: $app.findCollectionByNameOrId("users").id, cascadeDelete: true, maxSelect: 1 },
          { name: "n", type: "number", onlyInt: true },
        ],
        indexes: ["CREATE UNIQUE INDEX idx_scripted_title ON scripted (title)"],
      })
      $app.save(collection)
      const record = new Record($app.findCollectionByNameOrId("scripted"), { title: "one", n: 3 })
      $app.save(record)
      return e.json(200, { id: collection.id, isNew: collection.isNew(), fields: collection.fields.fieldNames(), rules: [collection.listRule, collection.viewRule, collection.createRule], record: record.get("n"), duplicate: utils.thrown(() => $app.save(new Record(collection, { title: "one" }))) !== "", exists: $app.hasTable("scripted") })
    }
    case "alter": {
      const collection = $app.findCollectionByNameOrId("scripted")
      collection.name = "scripted_more"
      collection.listRule = null
      collection.createRule = "@request.auth.id != ''"
      collection.fields.add(new BoolField({ name: "flag" }))
      collection.fields.addAt(1, new TextField({ name: "early" }))
      collection.fields.getByName("title").max = 20
      collection.fields.removeByName("n")
      collection.fields.getByName("owner").name = "keeper"
      collection.addIndex("idx_scripted_flag", false, "flag", "flag = true")
      $app.save(collection)
      const again = $app.findCollectionByNameOrId("scripted_more")
      const index = again.getIndex("idx_scripted_flag")
      again.removeIndex("idx_scripted_title")
      $app.save(again)
      return e.json(200, { names: again.fields.fieldNames(), listRule: again.listRule, index: /WHERE flag = true/i.test(index), indexes: again.indexes.length, max: again.fields.getByName("title").max, kept: $app.findFirstRecordByData("scripted_more", "title", "one").get("early"), old: utils.thrown(() => $app.findCollectionByNameOrId("scripted")) !== "" })
    }
    case "delete": {
      $app.truncateCollection($app.findCollectionByNameOrId("scripted_more"))
      const left = $app.countRecords("scripted_more")
      $app.delete($app.findCollectionByNameOrId("scripted_more"))
      return e.json(200, { left: left, exists: $app.hasTable("scripted_more"), unique: $app.isCollectionNameUnique("scripted_more") })
    }
    case "view": {
      $app.save(new Collection({ type: "view", name: "note_titles", listRule: "", viewQuery: "SELECT id, title FROM notes" }))
      $app.save(new Collection({ type: "auth", name: "members", passwordAuth: { enabled: true, identityFields: ["email"] } }))
      const view = $app.findCollectionByNameOrId("note_titles")
      const members = $app.findCollectionByNameOrId("members")
      return e.json(200, { view: [view.isView(), view.fields.fieldNames()], auth: [members.isAuth(), members.fields.getByName("email") !== null, members.authToken.duration > 0], kinds: $app.findAllCollections("auth").map((one) => one.name).includes("members") })
    }
    case "invalid": $app.save(new Collection({ type: "base", name: "bad name!", fields: [{ name: "x", type: "text" }] }))
    case "references": return e.json(200, { cached: $app.findCachedCollectionByNameOrId("notes").id, tables: $app.tableColumns("counters"), columns: $app.tableInfo("counters").length, indexes: Object.keys($app.tableIndexes("counters")) })
    case "import": {
      $app.importCollections([{ name: "imported", type: "base", fields: [{ name: "x", type: "number" }] }], false)
      return e.json(200, { type: $app.findCollectionByNameOrId("imported").fields.getByName("x").type() })
    }
  }
})

onCollectionCreate((e) => {
  if (e.collection.name === "forbidden_name") throw new BadRequestError("this name is taken by us")
  e.next()
})

onCollectionAfterCreateSuccess((e) => {
  e.next()
  require(`${__hooks}/utils.js`).mark(e.app, "collections", ["created", e.collection.name, e.type])
})

onCollectionUpdate((e) => {
  e.next()
  if (e.collection.name === "imported") require(`${__hooks}/utils.js`).mark(e.app, "collections", ["updated", e.collection.name])
}, "imported")

onCollectionCreateRequest((e) => {
  if (e.collection.name.startsWith("asked_")) e.collection.listRule = "id = 'set by the hook'"
  return e.next()
})

onCollectionsListRequest((e) => {
  e.requestEvent.response.header().set("X-Collections", String(e.collections.length > 3))
  return e.next()
})

onCollectionViewRequest((e) => {
  e.requestEvent.response.header().set("X-Collection", e.collection.name)
  return e.next()
})
