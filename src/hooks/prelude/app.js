// `$app`.
(function (host, api) {
    "use strict";

    const native = host.app;

    const app = {
        findRecordById: (collection, id) => native.findRecordById(nameOf(collection), id),
        save: (model) => native.save(model),
        runInTransaction: (work) => native.transaction(() => work(app)),
    };

    // Collections may be given as objects, too.
    function nameOf(collection) {
        return typeof collection === "string" ? collection : collection.id;
    }

    host.app.object = app;
    api.$app = app;
})
