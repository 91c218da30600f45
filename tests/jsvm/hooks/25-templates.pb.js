// Templates: texts and files, conditions, loops, escaping.

routerAdd("GET", "/jsvm/template/{what}", (e) => {
  const utils = require(`${__hooks}/utils.js`)
  const render = (text, data) => $template.loadString(text).render(data)
  switch (e.request.pathValue("what")) {
    case "text": return e.html(200, render("Hello {{.name}}, {{.count}} of {{.price}}", { name: "Ann", count: 3, price: 1.5 }))
    case "escape": return e.html(200, render(`{{.a}} {{.a|raw}} <a href="/?q={{.q}}" title="{{.a}}">x</a>`, { a: "<b>&\"'", q: "a b&c" }))
    case "if": return e.html(200, render("{{if .yes}}yes{{else}}no{{end}} {{if not .yes}}x{{else if eq .n 2}}two{{end}} {{if and .yes (gt .n 1)}}both{{end}}", { yes: true, n: 2 }))
    case "range": return e.html(200, render("{{range $i, $item := .items}}{{if $i}}, {{end}}{{$i}}:{{$item.name}}{{end}}{{range .none}}x{{else}}nothing{{end}}", { items: [{ name: "a" }, { name: "b" }], none: [] }))
    case "with": return e.html(200, render(`{{with .user}}{{.name}} {{.deep.er}}{{end}} {{$x := .n}}{{$x}} {{len .list}} {{index .list 1}} {{printf "%05.2f|%s" .f .s}} {{.s | printf "%q"}}`, { user: { name: "u", deep: { er: "d" } }, n: 1, list: ["p", "q"], f: 3.14159, s: "str" }))
    case "missing": return e.html(200, render("[{{.nope}}] [{{.nul}}]", { nul: null }))
    case "trim": return e.html(200, render("a  {{- 1 -}}  b {{/* a comment */}}{{`raw text`}}", {}))
    case "files": return e.html(200, $template.loadFiles(`${__hooks}/views/layout.html`, `${__hooks}/views/page.html`).render({ title: "A & B", items: ["<x>", 2] }))
    case "define": return e.html(200, render(`{{define "cell"}}<td>{{.}}</td>{{end}}{{range .cells}}{{template "cell" .}}{{end}}`, { cells: ["1", "2"] }))
    case "record": return e.html(200, render("{{.note.GetString \"title\"}} {{.note.Id}}", { note: new Record($app.findCollectionByNameOrId("notes"), { id: "abc", title: "T<" }) }))
    case "errors": return e.json(200, { parse: utils.thrown(() => render("{{.a", {})) !== "", file: utils.thrown(() => $template.loadFiles(`${__hooks}/views/none.html`).render({})) !== "" })
  }
})
