// New fields, a changed one, raw SQL and a removed index.

migrate((app) => {
  const collection = app.findCollectionByNameOrId("migrated")
  collection.fields.add(new TextField({ name: "slug" }))
  collection.fields.add(new Field({ type: "bool", name: "flag" }))
  collection.fields.getByName("title").max = 30
  collection.removeIndex("idx_migrated_n")
  collection.addIndex("idx_migrated_slug", false, "slug", "")
  app.save(collection)

  app.db().newQuery("UPDATE migrated SET slug = 'slug-' || n WHERE n > {:n}").bind({ n: 1 }).execute()
}, (app) => {
  const collection = app.findCollectionByNameOrId("migrated")
  collection.fields.removeByName("slug")
  collection.fields.removeByName("flag")
  app.save(collection)
})
