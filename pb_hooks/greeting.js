// A route of its own: GET /api/hello/{name}.

const counter = require("counter");

routerAdd("GET", "/api/hello/{name}", (e) => {
    const name = e.request.pathValue("name");
    return e.json(200, { message: `Hello, ${name}.`, greetings: counter.inc("greetings") });
});
