// The scheduler itself. This file has its own server: it stops the jobs.

cronAdd("jsvm-kept", "0 0 1 1 *", () => {})

routerAdd("POST", "/jsvm/scheduler", (e) => {
  const cron = $app.cron()
  const before = [cron.hasStarted(), cron.total() >= 1]
  cron.stop()
  const stopped = cron.hasStarted()
  cron.setTimezone(new Timezone("Europe/Paris"))
  cron.setInterval(120 * 1000000000)
  cron.start()
  const started = cron.hasStarted()
  cron.add("jsvm-added", "*/10 * * * *", () => {})
  cron.mustAdd("jsvm-must", "@daily", () => {})
  const ids = () => cron.jobs().map((job) => job.id())
  const added = ["jsvm-kept", "jsvm-added", "jsvm-must"].map((id) => ids().includes(id))
  cron.remove("jsvm-must")
  const removed = ids().includes("jsvm-must")
  cron.removeAll()
  return e.json(200, { before, stopped, started, added, removed, total: cron.total(), jobs: ids() })
})

onTerminate((e) => {
  require(`${__hooks}/utils.js`).mark(e.app, "restarts", e.isRestart)
  e.next()
})

routerAdd("POST", "/jsvm/restart", (e) => {
  $app.restart()
  return e.noContent(204)
})
