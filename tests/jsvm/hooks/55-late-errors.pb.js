// What is thrown once a write is committed: the one who asked hears of it, and the write stays.

onRecordAfterCreateSuccess((e) => {
  if (e.record.get("title") === "late") throw new ForbiddenError("too late")
  if (e.record.get("title") === "plain") throw new Error("a plain error")
  e.next()
}, "notes")

onRecordAfterUpdateSuccess((e) => {
  e.next()
  throw new BadRequestError("after the update")
}, "notes")

routerAdd("POST", "/jsvm/late", (e) => {
  const note = new Record($app.findCollectionByNameOrId("notes"), { title: "late" })
  const message = require(`${__hooks}/utils.js`).thrown(() => $app.save(note))
  return e.json(200, { message, stored: $app.findRecordsByIds("notes", [note.id]).length })
})
