// Delete requests: forbidding, and work after the deletion.

onRecordDeleteRequest((e) => {
  if (e.record.getString("level") === "high" && !e.hasSuperuserAuth()) {
    throw new ForbiddenError()
  }

  e.next()

  require(`${__hooks}/utils.js`).mark(e.app, "deleted", e.record.getString("title"))
}, "notes")
