// Made and removed in one go; a relation to a collection of an earlier file.

migrate((app) => {
  app.save(new Collection({ type: "base", name: "short_lived" }))
  app.delete(app.findCollectionByNameOrId("short_lived"))

  const migrated = app.findCollectionByNameOrId("migrated")
  app.save(new Collection({
    type: "base",
    name: "migrated_items",
    listRule: "",
    fields: [{ type: "relation", name: "parent", collectionId: migrated.id, maxSelect: 1, cascadeDelete: true }],
  }))
  const first = app.findFirstRecordByFilter("migrated", "n = {:n}", { n: 1 })
  app.save(new Record(app.findCollectionByNameOrId("migrated_items"), { parent: first.id }))
}, (app) => {
  app.delete(app.findCollectionByNameOrId("migrated_items"))
})
