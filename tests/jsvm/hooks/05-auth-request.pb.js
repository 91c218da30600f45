// Sign-in: refusing one, adding to the answer, refreshing.

onRecordAuthWithPasswordRequest((e) => {
  if (e.identity === "blocked@example.com") throw new ForbiddenError("This account is blocked")
  if (e.record && e.record.getString("name") === "old") throw new BadRequestError("Too old")
  e.next()
}, "users")

onRecordAuthRequest((e) => {
  e.meta = { method: e.authMethod, name: e.record.getString("name"), tokenParts: e.token.split(".").length }
  return e.next()
}, "users")

onRecordAuthRefreshRequest((e) => {
  e.requestEvent.response.header().set("X-Refreshed", e.record.email())
  return e.next()
}, "users")
