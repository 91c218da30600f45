// Transactions: all or nothing, and what the caller sees.

routerAdd("POST", "/jsvm/tx/{what}", (e) => {
  const what = e.request.pathValue("what")
  const notes = $app.findCollectionByNameOrId("notes")
  let inside
  $app.runInTransaction((txApp) => {
    const first = new Record(notes, { title: what + " 1" })
    txApp.save(first)
    const second = new Record(notes, { title: what + " 2" })
    txApp.save(second)
    inside = {
      count: txApp.countRecords("notes", $dbx.like("title", what)),
      transactional: txApp.isTransactional(),
      found: txApp.findRecordById("notes", first.id).get("title"),
    }
    if (what === "rollback") throw new BadRequestError("rolled back", { what: new ValidationError("rolled_back", "on purpose") })
    if (what === "invalid") txApp.save(new Record(notes, { title: "" }))
  })
  return e.json(200, { inside: inside, after: $app.countRecords("notes", $dbx.like("title", what)), transactional: $app.isTransactional() })
})

routerAdd("POST", "/jsvm/tx-caught", (e) => {
  let message = ""
  try {
    $app.runInTransaction((txApp) => {
      txApp.save(new Record(txApp.findCollectionByNameOrId("notes"), { title: "caught" }))
      throw new Error("out")
    })
  } catch (error) {
    message = error.message
  }
  return e.json(200, { message: message, left: $app.countRecords("notes", $dbx.hashExp({ title: "caught" })) })
})

// A transaction within a transaction is a part of the outer one.
routerAdd("POST", "/jsvm/tx-nested", (e) => {
  try {
    $app.runInTransaction((outer) => {
      outer.runInTransaction((inner) => {
        inner.save(new Record(inner.findCollectionByNameOrId("notes"), { title: "nested" }))
      })
      throw new Error("out")
    })
  } catch {
    // the outer transaction takes the inner one with it
  }
  return e.json(200, { left: $app.countRecords("notes", $dbx.hashExp({ title: "nested" })) })
})

// After-success hooks wait for the commit; a rolled back write has the error hook instead.
onRecordAfterCreateSuccess((e) => {
  $app.store().set("txHook", "success " + e.record.get("title"))
  e.next()
}, "notes")

onRecordAfterCreateError((e) => {
  $app.store().set("txHook", "error " + e.record.get("title"))
  e.next()
}, "notes")

routerAdd("GET", "/jsvm/tx-hook", (e) => e.json(200, { last: $app.store().get("txHook") }))
