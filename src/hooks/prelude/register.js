// Functions that register functions.
(function (host, api) {
    "use strict";

    for (const name of host.events) {
        api["on" + name] = (handler, ...tags) => host.register.event(name, handler, tags);
    }
    api.cronAdd = (id, expression, handler) => host.register.cron(id, expression, handler);
    api.migrate = (up, down) => host.register.migrate(up, down);
    api.cronRemove = (id) => host.register.uncron(id);
})
