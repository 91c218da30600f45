// The order in which hooks of one write run.

onRecordCreateRequest((e) => {
  $app.store().set("order", ["request"])
  e.next()
  $app.store().set("order", $app.store().get("order").concat("/request"))
  require(`${__hooks}/utils.js`).mark($app, "order", $app.store().get("order"))
}, "notes")

onModelCreate((e) => {
  $app.store().set("order", $app.store().get("order").concat("model"))
  e.next()
  $app.store().set("order", $app.store().get("order").concat("/model"))
}, "notes")

onRecordCreate((e) => {
  $app.store().set("order", $app.store().get("order").concat("create"))
  e.record.set("slug", "by create")
  e.next()
  $app.store().set("order", $app.store().get("order").concat("/create"))
}, "notes")

onRecordValidate((e) => {
  if ($app.store().get("order")) $app.store().set("order", $app.store().get("order").concat("validate"))
  e.next()
}, "notes")

onRecordCreateExecute((e) => {
  $app.store().set("order", $app.store().get("order").concat("execute:" + e.record.isNew() + ":" + e.record.id.length))
  e.next()
  $app.store().set("order", $app.store().get("order").concat("/execute"))
}, "notes")

onRecordAfterCreateSuccess((e) => {
  $app.store().set("order", $app.store().get("order").concat("after:" + e.record.isNew() + ":" + e.type))
  e.next()
}, "notes")

onRecordUpdate((e) => {
  e.record.set("slug", `${e.record.original().get("n")}->${e.record.get("n")}`)
  e.next()
}, "notes")

onRecordUpdateExecute((e) => {
  e.next()
  require(`${__hooks}/utils.js`).mark(e.app, "updates", ["execute", e.record.get("slug"), e.record.original().get("n")])
}, "notes")

onRecordAfterUpdateSuccess((e) => {
  require(`${__hooks}/utils.js`).mark(e.app, "updates", ["after", e.record.get("slug"), e.record.original().get("n"), e.type])
  e.next()
}, "notes")

onRecordDelete((e) => {
  require(`${__hooks}/utils.js`).mark(e.app, "deletes", "delete " + e.record.get("title"))
  e.next()
}, "notes")

onRecordDeleteExecute((e) => {
  e.next()
  require(`${__hooks}/utils.js`).mark(e.app, "deletes", "execute " + e.record.get("title"))
}, "notes")

onRecordAfterDeleteSuccess((e) => {
  e.next()
  require(`${__hooks}/utils.js`).mark(e.app, "deletes", "after " + e.record.get("title") + " " + e.type)
}, "notes")
