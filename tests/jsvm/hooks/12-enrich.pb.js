// What a record shows to whom.

onRecordEnrich((e) => {
  e.record.hide("secret")
  if (e.requestInfo.auth && e.requestInfo.auth.id === e.record.get("owner")) e.record.unhide("secret")
  e.record.withCustomData(true)
  e.record.set("commentCount", e.app.countRecords("comments", $dbx.hashExp({ note: e.record.id })))
  e.record.set("seenAs", e.requestInfo.auth ? e.requestInfo.auth.getString("name") : "guest")
  e.next()
}, "notes")

onRecordEnrich((e) => {
  if (e.requestInfo.context === "expand") e.record.set("text", "(shortened)")
  e.next()
}, "comments")
