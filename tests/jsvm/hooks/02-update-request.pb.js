// Update requests see the record with the changes, and through original() as it was.

onRecordUpdateRequest((e) => {
  const before = e.record.original()
  if (before.getBool("done") && !e.hasSuperuserAuth()) {
    throw e.badRequestError("done notes stay as they are", null)
  }
  if (before.get("title") !== e.record.get("title")) {
    e.record.set("body", before.get("title") + " -> " + e.record.get("title"))
  }
  if (e.requestInfo().query["touch"] === "1") e.record.set("n+", 10)
  return e.next()
}, "notes")
