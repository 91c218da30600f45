// Work on other records that belongs to a write: made, changed and deleted with it.

onRecordAfterCreateSuccess((e) => {
  const comments = e.app.findCollectionByNameOrId("comments")
  for (let i = 1; i <= 3; i++) {
    const comment = new Record(comments)
    comment.set("note", e.record.id)
    comment.set("text", `comment ${i} on ${e.record.get("title")}`)
    e.app.save(comment)
  }
  e.next()
}, "notes")

onRecordUpdate((e) => {
  e.next()
  for (const comment of e.app.findRecordsByFilter("comments", "note = {:id}", "text", 0, 0, { id: e.record.id })) {
    comment.set("text", e.record.get("title"))
    e.app.save(comment)
  }
}, "notes")

onRecordDelete((e) => {
  const count = e.app.countRecords("comments", $dbx.hashExp({ note: e.record.id }))
  e.next()
  require(`${__hooks}/utils.js`).mark(e.app, "cascade", { before: count, after: e.app.countRecords("comments", $dbx.hashExp({ note: e.record.id })) })
}, "notes")

// Deleted through the relation's cascade, a record fires its own hooks.
onRecordAfterDeleteSuccess((e) => {
  require(`${__hooks}/utils.js`).count(e.app, "comments deleted", 1)
  e.next()
}, "comments")
