/// <reference path="../pb_data/types.d.ts" />
// A collection with records, and back.

migrate((app) => {
  const collection = new Collection({
    type: "base",
    name: "migrated",
    listRule: "",
    viewRule: "",
    fields: [
      { type: "text", name: "title", required: true },
      { type: "number", name: "n" },
      { type: "autodate", name: "created", onCreate: true },
    ],
    indexes: ["CREATE INDEX idx_migrated_n ON migrated (n)"],
  })
  app.save(collection)

  for (let n = 1; n <= 3; n++) {
    const record = new Record(collection)
    record.set("title", `record ${n}`)
    record.set("n", n)
    app.save(record)
  }
}, (app) => {
  app.delete(app.findCollectionByNameOrId("migrated"))
})
