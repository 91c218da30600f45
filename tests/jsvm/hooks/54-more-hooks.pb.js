// Hooks that few scripts use.

onMailerRecordAuthAlertSend((e) => {
  $app.store().set("seen", ($app.store().get("seen") ?? []).concat([["alert", e.record.email()]]))
})
onMailerRecordPasswordResetSend((e) => {
  $app.store().set("seen", ($app.store().get("seen") ?? []).concat([["reset", e.record.email(), e.meta.token.split(".").length]]))
})
onMailerRecordEmailChangeSend((e) => {
  $app.store().set("seen", ($app.store().get("seen") ?? []).concat([["change", e.record.email(), e.meta.newEmail, e.meta.token.length > 20]]))
})
onMailerRecordOTPSend((e) => {
  $app.store().set("seen", ($app.store().get("seen") ?? []).concat([["otp", e.record.email(), e.meta.otpId, e.meta.password]]))
})

routerAdd("POST", "/jsvm/record-mails", (e) => {
  $app.store().set("seen", [])
  const ann = $app.findAuthRecordByEmail("users", "ann@example.com")
  $mails.sendRecordPasswordReset($app, ann)
  $mails.sendRecordChangeEmail($app, ann, "new@example.com")
  $mails.sendRecordOTP($app, ann, "otp-id", "otp-pass")
  $mails.sendRecordAuthAlert($app, ann, "somewhere")
  return e.noContent(204)
})
routerAdd("GET", "/jsvm/seen", (e) => e.json(200, $app.store().get("seen")))
routerAdd("GET", "/jsvm/change-token", (e) => e.json(200, { token: $app.findAuthRecordByEmail("users", "ann@example.com").newEmailChangeToken("changed@example.com") }))

onRecordConfirmEmailChangeRequest((e) => {
  const before = e.record.email()
  e.next()
  require(`${__hooks}/utils.js`).mark($app, "confirmed", [before, e.newEmail])
}, "users")

onCollectionAfterUpdateError((e) => {
  require(`${__hooks}/utils.js`).mark($app, "collections", ["update", String(e.error) !== ""])
  e.next()
}, "stubborn", "bad name")

onCollectionDeleteExecute((e) => {
  throw new BadRequestError("stubborn")
}, "stubborn")
onCollectionAfterDeleteError((e) => {
  require(`${__hooks}/utils.js`).mark($app, "collections", ["delete", String(e.error) !== ""])
  e.next()
}, "stubborn")

onBackupRestore((e) => {
  $os.writeFile($filepath.join($filepath.dir($app.dataDir()), "restore.txt"), e.name, 0o644)
  e.next()
})
routerAdd("GET", "/jsvm/restored", (e) => e.string(200, toString($os.readFile($filepath.join($filepath.dir($app.dataDir()), "restore.txt")))))
routerAdd("POST", "/jsvm/restore", (e) => {
  $app.restoreBackup(new Context(), "made.zip")
  return e.noContent(204)
})

onBackupCreate((e) => {
  require(`${__hooks}/utils.js`).mark($app, "backups", e.name)
  if (e.name === "refused.zip") throw new BadRequestError("not this one")
  if (!Array.isArray(Array.from(e.exclude))) throw new Error("no list")
  e.next()
})
