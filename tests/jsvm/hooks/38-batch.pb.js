// Batch requests: looked at as a whole, and their parts as usual.

onBatchRequest((e) => {
  if (e.batch.length > 3) throw new BadRequestError("at most 3 here")
  e.requestEvent.response.header().set("X-Batch", e.batch.map((request) => request.method).join())
  e.next()
})

onRecordCreateRequest((e) => {
  e.record.set("body", e.requestInfo().context)
  e.next()
  if (e.record.get("title") === "fail late") throw new BadRequestError("late")
}, "notes")
