// Several handlers on one hook run in the order of registration, each around the next.

onRecordCreateRequest((e) => {
  e.set("trail", ["one in"])
  e.next()
  require(`${__hooks}/utils.js`).mark($app, "trail", e.get("trail").concat("one out"))
}, "notes")

onRecordCreateRequest((e) => {
  e.set("trail", e.get("trail").concat("two in"))
  e.next()
  e.set("trail", e.get("trail").concat("two out"))
}, "notes")

onRecordCreateRequest((e) => {
  e.set("trail", (e.get("trail") || []).concat("all collections: " + e.collection.name))
  e.next()
})

// A handler that a variable holds, and a function with a name.
const held = (e) => {
  e.record.set("slug", "held")
  e.next()
}
onRecordCreate(held, "notes")

function named(e) {
  e.record.set("level", "low")
  return e.next()
}
onRecordCreate(named, "notes", "comments_that_do_not_exist")

// One file may use a loop to register.
for (const collection of ["comments", "counters"]) {
  onRecordAfterCreateSuccess((e) => {
    e.next()
    require(`${__hooks}/utils.js`).mark(e.app, "loop", e.record.collection().name)
  }, collection)
}
