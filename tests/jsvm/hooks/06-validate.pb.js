// Validation of several fields, in a validate hook and through what a request hook throws.

onRecordValidate((e) => {
  if (e.record.getString("title") === "plain") throw new Error("a plain error")
  const errors = {}
  if (e.record.getInt("n") < 0) errors["n"] = new ValidationError("notes_negative", "Must not be {{.what}}")
  if (e.record.getString("slug").includes(" ")) errors["slug"] = new ValidationError("notes_slug", "has a blank")
  if (Object.keys(errors).length > 0) throw new BadRequestError("the note is not valid", errors)
  return e.next()
}, "notes")

onRecordCreateRequest((e) => {
  if (e.record.getString("text") === "several") {
    throw new ApiError(422, "several fields are wrong", {
      text: new ValidationError("first", "first message"),
      nested: { inner: new ValidationError("second", "second message") },
      other: "a plain text is not shown",
    })
  }
  return e.next()
}, "comments")

// What a failing save looks like to the script.
routerAdd("GET", "/jsvm/save-failure", (e) => {
  const utils = require(`${__hooks}/utils.js`)
  const note = new Record($app.findCollectionByNameOrId("notes"), { title: "this title is much longer than allowed", level: "middle" })
  let caught
  try {
    $app.save(note)
  } catch (error) {
    caught = error
  }
  return e.json(200, {
    isError: caught instanceof Error,
    name: caught.name,
    named: caught.message.includes("title: ") && caught.message.includes("level: "),
    code: caught.value["title"] === undefined ? "methods only" : "fields",
    id: note.id.length,
    isNew: note.isNew(),
    validates: utils.thrown(() => $app.validate(note)) !== "",
  })
})

// Not caught, the field errors become the answer.
routerAdd("POST", "/jsvm/save-uncaught", (e) => {
  $app.save(new Record($app.findCollectionByNameOrId("notes"), { level: "middle" }))
  return e.noContent(204)
})

routerAdd("POST", "/jsvm/save-no-validate", (e) => {
  const note = new Record($app.findCollectionByNameOrId("notes"), { level: "middle" })
  $app.saveNoValidate(note)
  return e.json(200, { level: note.get("level"), isNew: note.isNew() })
})
