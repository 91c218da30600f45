// The remaining hooks of collections, kept in the order in which they ran.

onCollectionValidate((e) => {
  if (e.collection.name === "bad_fields") throw new BadRequestError("fields refused", { fields: new ValidationError("bad_fields", "no such fields") })
  e.next()
})

onCollectionCreateExecute((e) => {
  $app.store().set("steps", [`create ${e.collection.name} ${e.collection.isNew()}`])
  e.next()
})

onCollectionUpdateRequest((e) => {
  $app.store().set("steps", $app.store().get("steps").concat("update request"))
  return e.next()
})

onCollectionUpdateExecute((e) => {
  e.next()
  if ($app.store().has("steps")) $app.store().set("steps", $app.store().get("steps").concat("update execute"))
})

onCollectionAfterUpdateSuccess((e) => {
  if ($app.store().has("steps")) $app.store().set("steps", $app.store().get("steps").concat("updated"))
  e.next()
})

onCollectionDeleteRequest((e) => {
  if (e.collection.name === "kept") throw new ForbiddenError("this one stays")
  return e.next()
})

onCollectionDelete((e) => {
  $app.store().set("steps", $app.store().get("steps").concat("delete"))
  e.next()
})

onCollectionDeleteExecute((e) => {
  $app.store().set("steps", $app.store().get("steps").concat("delete execute"))
  e.next()
})

onCollectionAfterDeleteSuccess((e) => {
  $app.store().set("steps", $app.store().get("steps").concat("deleted"))
  e.next()
})

onCollectionAfterCreateError((e) => {
  $app.store().set("failed", [e.collection.name, e.type, e.error !== null])
  e.next()
})

onCollectionsImportRequest((e) => {
  if (e.deleteMissing) throw new BadRequestError("nothing may be deleted")
  $app.store().set("imported", e.collectionsData.map((data) => data["name"]))
  return e.next()
})

routerAdd("GET", "/jsvm/collection-steps", (e) => {
  const store = $app.store()
  return e.json(200, { steps: store.get("steps"), failed: store.get("failed"), imported: store.get("imported") })
})
