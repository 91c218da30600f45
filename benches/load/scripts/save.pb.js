// A hook that reads and writes another record for each one created.

onRecordCreate((e) => {
  e.next()
  const counter = e.app.findFirstRecordByData("tallies", "name", "all")
  counter.set("value+", 1)
  e.app.save(counter)
}, "hook_save")
