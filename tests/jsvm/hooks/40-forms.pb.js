// Form classes that older scripts use.

routerAdd("POST", "/jsvm/forms", (e) => {
  const note = new Record($app.findCollectionByNameOrId("notes"))
  const form = new RecordUpsertForm($app, note)
  form.load({ title: "by a form", n: 4 })
  form.submit()
  return e.json(200, { title: note.get("title"), n: note.getInt("n"), id: note.id.length })
})
