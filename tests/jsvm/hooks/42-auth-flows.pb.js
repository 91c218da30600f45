// Requests of the other sign-in flows.

onRecordRequestVerificationRequest((e) => {
  e.requestEvent.response.header().set("X-Flow", "verification " + e.record.getString("name"))
  return e.next()
}, "users")

onRecordRequestPasswordResetRequest((e) => {
  if (e.record.getString("name") === "bob") throw new BadRequestError("Bob remembers")
  e.requestEvent.response.header().set("X-Flow", "reset " + e.collection.name)
  return e.next()
}, "users")

onRecordConfirmPasswordResetRequest((e) => {
  e.next()
  require(`${__hooks}/utils.js`).mark(e.app, "flows", "confirmed " + e.record.getString("name"))
}, "users")

onRecordConfirmVerificationRequest((e) => {
  e.next()
  require(`${__hooks}/utils.js`).mark(e.app, "flows", "verified " + e.record.verified())
}, "users")

onRecordRequestEmailChangeRequest((e) => {
  if (e.newEmail.endsWith("@bad.example.com")) throw new BadRequestError("bad domain")
  return e.next()
}, "users")

onRecordRequestOTPRequest((e) => {
  e.requestEvent.response.header().set("X-Flow", "otp " + (e.record !== null) + " " + (e.password.length > 0))
  return e.next()
}, "users")

onRecordAuthWithOTPRequest((e) => {
  e.requestEvent.response.header().set("X-Flow", "with otp " + e.record.getString("name"))
  return e.next()
}, "users")

// A token of each kind, to confirm with.
routerAdd("GET", "/jsvm/flow-token/{kind}", (e) => {
  const ann = $app.findAuthRecordByEmail("users", "ann@example.com")
  switch (e.request.pathValue("kind")) {
    case "verification": return e.string(200, ann.newVerificationToken())
    case "reset": return e.string(200, ann.newPasswordResetToken())
  }
})
