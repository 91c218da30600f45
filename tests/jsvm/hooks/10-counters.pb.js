// Counters kept by hooks: in the same transaction as the write that they count.

onRecordCreateExecute((e) => {
  e.next()
  require(`${__hooks}/utils.js`).count(e.app, "notes", 1)
}, "notes")

onRecordDeleteExecute((e) => {
  e.next()
  require(`${__hooks}/utils.js`).count(e.app, "notes", -1)
}, "notes")

onRecordUpdateExecute((e) => {
  if (e.record.getBool("done") && !e.record.original().getBool("done")) {
    require(`${__hooks}/utils.js`).count(e.app, "done", 1)
  }
  e.next()
}, "notes")
