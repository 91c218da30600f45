// Middlewares of single routes: the built-in ones and our own.

routerAdd("GET", "/jsvm/need/auth", (e) => e.json(200, { id: e.auth.id }), $apis.requireAuth())
routerAdd("GET", "/jsvm/need/users", (e) => e.json(200, { id: e.auth.id }), $apis.requireAuth("users"))
routerAdd("GET", "/jsvm/need/others", (e) => e.json(200, { id: e.auth.id }), $apis.requireAuth("others"))
routerAdd("GET", "/jsvm/need/superuser", (e) => e.json(200, { ok: true }), $apis.requireSuperuserAuth())
routerAdd("GET", "/jsvm/need/guest", (e) => e.json(200, { ok: true }), $apis.requireGuestOnly())
routerAdd("GET", "/jsvm/need/owner/{id}", (e) => e.json(200, { ok: true }), $apis.requireSuperuserOrOwnerAuth("id"))
routerAdd("GET", "/jsvm/gzip", (e) => e.string(200, "long ".repeat(1000)), $apis.gzip())
routerAdd("GET", "/jsvm/quiet", (e) => e.json(200, { ok: true }), $apis.skipSuccessActivityLog())

routerAdd("GET", "/jsvm/own", (e) => e.json(200, { trail: e.get("trail"), missing: e.get("missing") }), (e) => {
  e.set("trail", ["first"])
  return e.next()
}, (e) => {
  e.set("trail", e.get("trail").concat("second"))
  e.response.header().set("X-Second", "yes")
  return e.next()
})

routerAdd("GET", "/jsvm/stopped", (e) => e.json(200, { reached: true }), (e) => e.json(203, { stopped: true }))
routerAdd("GET", "/jsvm/refused", (e) => e.json(200, { reached: true }), (e) => {
  throw new UnauthorizedError("the middleware says no")
})

// Lower priorities run first, whatever the order of the arguments.
routerAdd("GET", "/jsvm/priority", (e) => e.json(200, e.get("trail")), new Middleware((e) => {
  e.set("trail", (e.get("trail") || []).concat("late"))
  return e.next()
}, 10, "late"), new Middleware((e) => {
  e.set("trail", (e.get("trail") || []).concat("early"))
  return e.next()
}, -10), (e) => {
  e.set("trail", (e.get("trail") || []).concat("plain"))
  return e.next()
})

// A middleware sees the outcome of what it wraps.
routerAdd("GET", "/jsvm/wrapped/{kind}", (e) => {
  if (e.request.pathValue("kind") === "fail") throw new ForbiddenError("inner")
  return e.json(200, { ok: true })
}, (e) => {
  try {
    e.next()
    $app.store().set("wrapped", "status " + e.status())
  } catch (error) {
    $app.store().set("wrapped", "caught " + String(error))
    throw new NotFoundError("outer")
  }
})
routerAdd("GET", "/jsvm/wrapped-outcome", (e) => e.json(200, { last: $app.store().get("wrapped") }))
