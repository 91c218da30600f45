/// <reference path="../pb_data/types.d.ts" />
// Create requests: defaults, the caller as owner, what only a superuser may set.

onRecordCreateRequest((e) => {
  const utils = require(`${__hooks}/utils.js`)
  if (!e.hasSuperuserAuth() && e.record.getString("secret") !== "") {
    throw new ForbiddenError("only superusers set secrets")
  }
  if (e.auth && !e.hasSuperuserAuth()) e.record.set("owner", e.auth.id)
  if (e.record.get("body") === "") e.record.set("body", "(empty)")
  e.record.set("slug", utils.slug(e.record.getString("title")))

  e.next()

  utils.mark(e.app, "created", { id: e.record.id, isNew: e.record.isNew(), collection: e.collection.name })
}, "notes")

// A handler with the tag of another collection is not called.
onRecordCreateRequest((e) => {
  throw new BadRequestError("never")
}, "counters", "no_such_collection")

// Without e.next() nothing is written; the handler answers by itself.
onRecordCreateRequest((e) => {
  const info = e.requestInfo()
  if (info.body.text === "swallow") return e.json(202, { swallowed: info.body })
  return e.next()
}, "comments")
