// The least a record hook can do: one value set before the write.

onRecordCreate((e) => {
  e.record.set("title", "set")
  e.next()
}, "hook_set")
