// Mails: messages, the client that sends them, and those that auth records get.
(function (host, api) {
    "use strict";

    const native = host.mail;
    const { Reader } = host;

    class MailerMessage {
        constructor(data) {
            Object.assign(
                this,
                {
                    from: { name: "", address: "" }, to: [], cc: [], bcc: [], subject: "", html: "", text: "",
                    headers: {}, attachments: {}, inlineAttachments: {},
                },
                data || {},
            );
        }
    }
    api.MailerMessage = MailerMessage;

    const address = (one) => (typeof one === "string" ? { name: "", address: one } : { name: one?.name || "", address: one?.address || "" });
    const files = (map, inline) =>
        Object.entries(map || {}).map(([name, reader]) => [name, host.bytes(host.isFile(reader) ? reader.reader.open() : reader), inline]);

    // What the natives read of a message.
    host.mailParts = (message) => ({
        from: address(message.from),
        to: (message.to || []).map(address),
        cc: (message.cc || []).map(address),
        bcc: (message.bcc || []).map(address),
        subject: api.toString(message.subject),
        html: api.toString(message.html),
        text: api.toString(message.text),
        headers: Object.entries(message.headers || {}).map(([name, value]) => [name, api.toString(value)]),
        attachments: files(message.attachments, false).concat(files(message.inlineAttachments, true)),
    });

    // The message of an event.
    host.makeMail = (parts) =>
        new MailerMessage({
            ...parts,
            headers: Object.fromEntries(parts.headers),
            attachments: Object.fromEntries(parts.attachments.map(([name, bytes]) => [name, new Reader(() => bytes, true)])),
        });

    const client = { send: (message) => host.go(() => native.send(message)) };
    host.app.object.newMailClient = () => client;
    Object.defineProperty(host.eventPrototype, "mailer", { get: () => client });

    const recordMail = (kind) => (app, record, ...values) => host.go(() => native.sendRecord(kind, record, ...values.map(String)));
    api.$mails = {
        sendRecordPasswordReset: recordMail("passwordReset"),
        sendRecordVerification: recordMail("verification"),
        sendRecordChangeEmail: recordMail("emailChange"),
        sendRecordOTP: recordMail("otp"),
        sendRecordAuthAlert: recordMail("authAlert"),
    };
})
