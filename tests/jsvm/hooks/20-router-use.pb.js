// Middlewares of all routes, the API's included.

routerUse((e) => {
  e.response.header().set("X-Powered-By-Script", "yes")
  return e.next()
})

routerUse(new Middleware((e) => {
  if (e.request.header.get("x-block") === "1" && e.request.url.path.startsWith("/api/")) {
    throw new ForbiddenError("blocked by the script")
  }
  e.set("global", "seen " + (e.auth ? e.auth.getString("name") : "nobody"))
  return e.next()
}, 5, "blocker"))

// Before the API finds out who calls (its own middleware has priority -1020).
routerUse(new Middleware((e) => {
  e.response.header().set("X-Early-Auth", String(e.auth !== null))
  const token = e.request.url.query().get("token_in_query")
  if (token) e.request.header.set("Authorization", token)
  return e.next()
}, -99999))

routerAdd("GET", "/jsvm/global", (e) => e.json(200, { global: e.get("global"), auth: e.auth?.getString("name") }))
