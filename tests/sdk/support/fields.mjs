// Short spellings of collection fields.

export const text = (name, more = {}) => ({ name, type: "text", ...more });
export const number = (name, more = {}) => ({ name, type: "number", ...more });
export const bool = (name, more = {}) => ({ name, type: "bool", ...more });
export const select = (name, values, more = {}) => ({ name, type: "select", values, maxSelect: 1, ...more });
export const file = (name, more = {}) => ({ name, type: "file", maxSelect: 1, ...more });
export const relation = (name, collection, more = {}) => ({
  name,
  type: "relation",
  collectionId: collection.id,
  maxSelect: 1,
  ...more,
});
export const created = () => ({ name: "created", type: "autodate", onCreate: true });
export const updated = () => ({ name: "updated", type: "autodate", onCreate: true, onUpdate: true });

/** Rules that let everybody do everything. */
export const OPEN = { listRule: "", viewRule: "", createRule: "", updateRule: "", deleteRule: "" };
