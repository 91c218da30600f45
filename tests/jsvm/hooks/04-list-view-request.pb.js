// List and view requests: changing what is sent, and answering otherwise.

onRecordsListRequest((e) => {
  e.records.forEach((record) => {
    if (record.getBool("done")) record.set("title", "[done] " + record.get("title"))
  })
  e.requestEvent.response.header().set("X-Count", String(e.records.length))
  e.requestEvent.response.header().set("X-Total", String(e.result.totalItems))
  e.requestEvent.response.header().set("X-Page", `${e.result.page}/${e.result.totalPages}/${e.result.perPage}`)
  return e.next()
}, "notes")

onRecordViewRequest((e) => {
  if (e.requestEvent.request.url.query().get("raw")) return e.string(200, e.record.getString("title"))
  if (e.record.getString("level") === "high") throw new NotFoundError("Nothing here", null)
  e.record.set("body", e.record.getString("body").toUpperCase())
  e.next()
}, "notes")
