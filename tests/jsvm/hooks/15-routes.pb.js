// Routes: methods, path parameters, wildcards and query values.

routerAdd("GET", "/jsvm/hello/{name}", (e) => e.string(200, `Hello ${e.request.pathValue("name")}`))
routerAdd("POST", "/jsvm/method", (e) => e.json(200, { method: e.request.method }))
routerAdd("PUT", "/jsvm/method", (e) => e.json(200, { method: e.request.method }))
routerAdd("PATCH", "/jsvm/method", (e) => e.json(200, { method: e.request.method }))
routerAdd("DELETE", "/jsvm/method", (e) => e.json(200, { method: e.request.method }))
routerAdd("get", "/jsvm/method", (e) => e.json(200, { method: "lower case " + e.request.method }))
routerAdd("OPTIONS", "/jsvm/options", (e) => e.string(200, "options"))

routerAdd("GET", "/jsvm/pair/{one}/and/{two}", (e) => {
  return e.json(200, [e.request.pathValue("one"), e.request.pathValue("two"), e.request.pathValue("three")])
})

routerAdd("GET", "/jsvm/rest/{path...}", (e) => e.json(200, { path: e.request.pathValue("path") }))
routerAdd("GET", "/jsvm/rest/fixed", (e) => e.json(200, { path: "the fixed one wins" }))
routerAdd("GET", "/jsvm/exact/{$}", (e) => e.json(200, { exact: true }))

routerAdd("GET", "/jsvm/query", (e) => {
  const query = e.request.url.query()
  return e.json(200, {
    one: query.get("one"),
    missing: query.get("missing"),
    has: [query.has("one"), query.has("missing")],
    info: e.requestInfo().query,
    raw: e.request.url.rawQuery,
    path: e.request.url.path,
  })
})

routerAdd("GET", "/jsvm/headers", (e) => {
  const info = e.requestInfo()
  return e.json(200, {
    get: e.request.header.get("x-token"),
    values: e.request.header.values("X-Token"),
    missing: e.request.header.get("x-missing"),
    info: info.headers["x_token"],
    host: e.request.host.length > 0,
    method: info.method,
    context: info.context,
  })
})

routerAdd("GET", "/jsvm/who", (e) => {
  return e.json(200, {
    guest: !e.auth,
    isNull: e.auth === null,
    id: e.auth?.id,
    email: e.auth?.email(),
    collection: e.auth?.collection().name,
    superuser: e.hasSuperuserAuth(),
    info: e.requestInfo().auth?.id,
    ip: e.realIP(),
    remote: e.remoteIP(),
    tls: e.isTLS(),
  })
})

routerAdd("GET", "/jsvm/nothing", (e) => {})
routerAdd("GET", "/jsvm/async", async (e) => e.json(200, { async: true }))
