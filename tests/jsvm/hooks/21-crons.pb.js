// Jobs; tests start them through POST /api/crons/{id}.

cronAdd("jsvm-hello", "0 0 1 1 *", () => {
  require(`${__hooks}/utils.js`).mark($app, "cron", "hello")
})

cronAdd("jsvm-replaced", "0 0 1 1 *", () => {
  require(`${__hooks}/utils.js`).mark($app, "cron", "old")
})
cronAdd("jsvm-replaced", "*/5 * * * *", () => {
  require(`${__hooks}/utils.js`).mark($app, "cron", "new")
})

cronAdd("jsvm-throws", "@yearly", () => {
  throw new Error("this job fails")
})

cronAdd("jsvm-removed", "0 0 1 1 *", () => {})
cronRemove("jsvm-removed")

cronAdd("jsvm-once", "0 0 1 1 *", () => {
  require(`${__hooks}/utils.js`).mark($app, "cron", "once")
  cronRemove("jsvm-once")
})

routerAdd("GET", "/jsvm/crons", (e) => e.json(200, $app.cron().jobs().map((job) => [job.id(), job.expression()])))
