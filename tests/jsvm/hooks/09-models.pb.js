// Model hooks see every kind of model: records as well as collections.

onModelCreate((e) => {
  e.model.set("body", "set by the model hook of " + e.model.tableName())
  e.next()
}, "notes")

onModelAfterCreateSuccess((e) => {
  require(`${__hooks}/utils.js`).mark(e.app, "models", ["created", e.model.tableName(), e.type])
  e.next()
}, "notes", "comments")

onModelUpdate((e) => {
  e.next()
  require(`${__hooks}/utils.js`).mark(e.app, "models", ["updated", e.model.get("title")])
}, "notes")

onModelValidate((e) => {
  if (e.model.get("title") === "no model") throw new BadRequestError("the model hook says no")
  e.next()
}, "notes")

onModelDelete((e) => {
  e.next()
}, "notes")

onModelAfterDeleteSuccess((e) => {
  require(`${__hooks}/utils.js`).mark(e.app, "models", ["deleted", e.model.get("title")])
  e.next()
}, "notes")

onModelAfterCreateSuccess((e) => {
  e.next()
  if (e.model.name === "from_model_hook") $app.store().set("collectionMade", [e.model.name, e.model.tableName()])
}, "_collections")

routerAdd("GET", "/jsvm/collection-made", (e) => e.json(200, $app.store().get("collectionMade")))
