// Settings: reading, changing, and hooks around their requests.

routerAdd("POST", "/jsvm/settings", (e) => {
  const settings = $app.settings()
  const before = settings.meta.appName
  settings.meta.appName = "Named by a script"
  settings.batch.enabled = true
  $app.save(settings)
  return e.json(200, { before: before, after: $app.settings().meta.appName, smtp: settings.smtp.port, logs: settings.logs.maxDays, batch: settings.batch.enabled, invalid: require(`${__hooks}/utils.js`).thrown(() => { const copy = $app.settings().clone(); copy.meta.appName = ""; $app.save(copy) }) !== "" })
})

onSettingsListRequest((e) => {
  e.requestEvent.response.header().set("X-App", e.settings.meta.appName)
  return e.next()
})

onSettingsUpdateRequest((e) => {
  if (e.newSettings.meta.appName === "refused") throw new BadRequestError(`${e.oldSettings.meta.appName} stays`)
  return e.next()
})

onSettingsReload((e) => {
  e.next()
  e.app.store().set("reloads", (e.app.store().get("reloads") || 0) + 1)
})

routerAdd("GET", "/jsvm/settings-reloads", (e) => e.json(200, { any: $app.store().get("reloads") > 0 }))
