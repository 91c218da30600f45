// Collections as one list, as exported ones are imported.

migrate((app) => {
  const snapshot = [
    {
      id: "pbc_snapshot00001",
      name: "snapshot",
      type: "base",
      system: false,
      listRule: "",
      viewRule: null,
      createRule: null,
      updateRule: null,
      deleteRule: null,
      fields: [
        { autogeneratePattern: "[a-z0-9]{15}", hidden: false, id: "text3208210256", max: 15, min: 15, name: "id", pattern: "^[a-z0-9]+$", presentable: false, primaryKey: true, required: true, system: true, type: "text" },
        { hidden: false, id: "text_snapshot", name: "label", type: "text" },
      ],
      indexes: [],
    },
  ]
  return app.importCollections(snapshot, false)
}, (app) => null)
