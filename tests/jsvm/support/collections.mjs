// The collections that the hook files work on, as `PUT /api/collections/import` takes them.

import { bool, created, file, number, OPEN, relation, select, text, updated } from "../../sdk/support/fields.mjs";

const base = (id, name, fields, more = {}) => ({ id, name, type: "base", ...OPEN, fields, ...more });

const USERS = { id: "_pb_users_auth_" };
const NOTES = { id: "jsvmnotes000001" };

export const COLLECTIONS = [
  base(NOTES.id, "notes", [
    text("title", { required: true, max: 20 }),
    text("body"),
    text("slug"),
    number("n"),
    bool("done"),
    select("tags", ["red", "green", "blue"], { maxSelect: 3 }),
    select("level", ["low", "high"]),
    { name: "meta", type: "json" },
    { name: "due", type: "date" },
    { name: "place", type: "geoPoint" },
    file("pics", { maxSelect: 3 }),
    relation("owner", USERS),
    relation("links", NOTES, { maxSelect: 5 }),
    text("secret"),
    created(),
    updated(),
  ]),
  base("jsvmcomments001", "comments", [
    text("text"),
    relation("note", NOTES, { cascadeDelete: true }),
    created(),
  ]),
  base("jsvmcounters001", "counters", [text("name"), number("value")], {
    indexes: ["CREATE UNIQUE INDEX idx_counters_name ON counters (name)"],
  }),
  base("jsvmmarks000001", "marks", [text("name"), number("seq"), { name: "data", type: "json" }]),
];
