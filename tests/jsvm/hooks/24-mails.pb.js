// Mails: own ones, and hooks on those that the server sends.

routerAdd("POST", "/jsvm/mail", (e) => {
  const message = new MailerMessage({
    from: { address: $app.settings().meta.senderAddress, name: $app.settings().meta.senderName },
    to: [{ address: "one@example.com", name: "One" }, { address: "two@example.com" }],
    cc: [{ address: "copy@example.com" }],
    bcc: [{ address: "blind@example.com" }],
    subject: "Greetings from a script",
    html: "<p>Hello <b>there</b></p>",
    headers: { "X-Script": "24" },
    attachments: { "note.txt": $filesystem.fileFromBytes("attached", "note.txt").reader.open() },
  })
  $app.newMailClient().send(message)
  return e.json(200, { to: message.to.map((to) => to.address), subject: message.subject })
})

onMailerSend((e) => {
  if (e.message.subject.startsWith("Drop")) return
  e.message.headers = Object.assign({}, e.message.headers, { "X-Seen": "yes" })
  e.next()
})

routerAdd("POST", "/jsvm/mail/dropped", (e) => {
  $app.newMailClient().send(new MailerMessage({ from: { address: "a@example.com" }, to: [{ address: "b@example.com" }], subject: "Drop me", text: "x" }))
  return e.noContent(204)
})

onMailerRecordVerificationSend((e) => {
  e.message.subject = `Verify, ${e.record.getString("name")}`
  e.message.html = `<p>token of ${e.meta.token.split(".").length} parts</p>`
  e.next()
}, "users")

onMailerRecordPasswordResetSend((e) => {
  e.message.subject = "Reset for " + e.record.email()
  e.next()
}, "users")

onMailerRecordEmailChangeSend((e) => {
  e.message.subject = "Change to " + e.meta.newEmail
  e.next()
}, "users")

onMailerRecordOTPSend((e) => {
  e.message.subject = "Code " + e.meta.password
  e.next()
}, "users")

routerAdd("POST", "/jsvm/mail/verification", (e) => {
  $mails.sendRecordVerification($app, $app.findAuthRecordByEmail("users", "bob@example.com"))
  return e.noContent(204)
})
