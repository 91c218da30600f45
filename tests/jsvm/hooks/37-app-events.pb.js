// The application's own events.

onBootstrap((e) => {
  const before = e.app.isBootstrapped()
  e.next()
  e.app.store().set("bootstrap", [before, e.app.isBootstrapped()])
})

onTerminate((e) => {
  require(`${__hooks}/utils.js`).mark(e.app, "terminate", { restart: e.isRestart })
  e.next()
})

routerAdd("GET", "/jsvm/app", (e) => {
  $app.logger().info("a line by a script", "number", 5, "text", "x")
  $app.logger().with("who", "script").warn("another line")
  const store = $app.store()
  store.set("list", [1, { a: "b" }])
  store.set("gone", 1)
  store.remove("gone")
  return e.json(200, {
    bootstrap: store.get("bootstrap"), dataDir: $app.dataDir().endsWith("pb_data"), isDev: $app.isDev(), same: e.app.dataDir() === $app.dataDir(),
    list: store.get("list")[1].a, has: [store.has("list"), store.has("gone")], missing: store.get("missing") === null || store.get("missing") === undefined, getOrSet: store.getOrSet("made", () => "made once"), again: store.getOrSet("made", () => "made twice"),
  })
})
