// Field classes and lists of fields.

routerAdd("GET", "/jsvm/fields", (e) => {
  const list = new FieldsList([{ name: "one", type: "text" }])
  list.add(new NumberField({ name: "two", min: 1, max: 5 }))
  list.add(new SelectField({ name: "three", values: ["a", "b"], maxSelect: 2 }), new BoolField({ name: "four" }))
  const before = list.fieldNames()
  list.removeByName("one")
  return e.json(200, {
    before: before,
    after: list.fieldNames(),
    length: list.length,
    byName: [list.getByName("two").type(), list.getByName("two").min, list.getByName("none") === null],
    byId: list.getById(list.getByName("four").id).name,
    map: list.asMap()["three"].values,
    types: [new TextField(), new NumberField(), new BoolField(), new EmailField(), new URLField(), new EditorField(), new DateField(), new AutodateField(), new SelectField(), new JSONField(), new FileField(), new RelationField(), new PasswordField(), new GeoPointField()].map((field) => field.type()),
    generic: [new Field({ name: "g", type: "email", required: true }).type(), new Field({ name: "g", type: "email", required: true }).required],
    json: JSON.parse(JSON.stringify(new TextField({ name: "t", max: 3, pattern: "^a" }))).pattern,
    accessors: [new DateField({ name: "d" }).getName(), new DateField({ system: true }).getSystem(), new DateField({ hidden: true }).getHidden()],
  })
})
