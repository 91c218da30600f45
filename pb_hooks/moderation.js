// Keeps words out of posts and comments that nobody wants to read.
//
// The list is in storage under "moderation.words", so that it can be changed while the server runs:
//
//     storage.set("moderation.words", ["spam", "scam"])
//
// A text with such a word is refused with 400 and nothing is written. Without the collections "posts" and "comments"
// this handler is never called.

const FIELDS = ["title", "content", "text", "contenu", "titre"];
const USUAL = ["viagra", "casino-bonus"];

function words() {
    return storage.get("moderation.words") || USUAL;
}

function forbidden(record) {
    const text = FIELDS.map((field) => String(record.get(field) || "")).join(" ").toLowerCase();
    return words().find((word) => text.includes(String(word).toLowerCase()));
}

function check(e) {
    const word = forbidden(e.record);
    if (word) {
        throw new BadRequestError(`The text contains a word that is not allowed: ${word}.`);
    }
    e.next();
}

onRecordCreate(check, "posts", "comments");
onRecordUpdate(check, "posts", "comments");
