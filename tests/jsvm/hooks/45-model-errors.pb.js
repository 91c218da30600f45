// Model hooks around the statement itself, and after errors; the rest of the event's own errors.

onModelCreateExecute((e) => {
  if (e.model.get("title") === "fail") throw new BadRequestError("refused by the model hook")
  e.next()
}, "notes")

onModelAfterCreateError((e) => {
  $app.store().set("modelError", ["create", e.model.get("title"), e.model.isNew(), e.type])
  e.next()
}, "notes")

onModelUpdateExecute((e) => {
  e.model.set("slug", "model execute")
  e.next()
}, "notes")

onModelAfterUpdateSuccess((e) => {
  $app.store().set("modelUpdated", e.model.get("slug"))
  e.next()
}, "notes")

onModelAfterUpdateError((e) => {
  $app.store().set("modelError", ["update", e.model.get("title")])
  e.next()
}, "notes")

onModelDeleteExecute((e) => {
  throw new BadRequestError("never deleted")
}, "notes")

onModelAfterDeleteError((e) => {
  $app.store().set("modelError", ["delete", e.model.get("title")])
  e.next()
}, "notes")

routerAdd("GET", "/jsvm/model-state", (e) => {
  return e.json(200, { error: $app.store().get("modelError"), updated: $app.store().get("modelUpdated") })
})

routerAdd("GET", "/jsvm/event-errors/{kind}", (e) => {
  e.setAll({ one: 1, two: 2 })
  switch (e.request.pathValue("kind")) {
    case "unauthorized": throw e.unauthorizedError("", null)
    case "too-many": throw e.tooManyRequestsError("slow down", null)
    case "internal": throw e.internalServerError("broken", null)
  }
  return e.json(200, e.getAll())
})
