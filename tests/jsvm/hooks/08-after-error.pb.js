// What runs when a write fails, and that the failed write leaves nothing behind.

onRecordCreate((e) => {
  if (e.record.get("title") === "fail before") throw new BadRequestError("refused before")
  e.next()
}, "notes")

onRecordCreateExecute((e) => {
  if (e.record.get("title") === "fail execute") throw new BadRequestError("refused in execute")
  e.next()
}, "notes")

onRecordAfterCreateError((e) => {
  require(`${__hooks}/utils.js`).mark($app, "errors", [e.record.getString("title"), String(e.error).includes("efused"), e.record.isNew(), e.type])
  e.next()
}, "notes")

onRecordUpdate((e) => {
  if (e.record.get("title") === "fail update") throw new ForbiddenError("refused update")
  e.next()
}, "notes")

onRecordAfterUpdateError((e) => {
  require(`${__hooks}/utils.js`).mark($app, "errors", ["update", e.record.original().getString("title")])
  e.next()
}, "notes")

onRecordDelete((e) => {
  throw new BadRequestError("refused delete")
}, "notes")

onRecordAfterDeleteError((e) => {
  require(`${__hooks}/utils.js`).mark($app, "errors", ["delete", e.record.getString("title")])
  e.next()
}, "notes")
