// Routes and middlewares, and what is offered for them.
(function (host, api) {
    "use strict";

    class Middleware {
        constructor(func, priority, id) {
            this.func = func;
            this.priority = Number(priority) || 0;
            this.id = id === undefined ? "" : String(id);
        }
        get kind() {
            return "script";
        }
        get value() {
            return this.func;
        }
    }
    api.Middleware = Middleware;

    /** A middleware of the host: what it does, and a function that does the same for those who call it themselves. */
    const builtIn = (id, kind, value, func, priority) => ({ id, kind, value, func, priority: priority || 0 });

    const asMiddleware = (one) => {
        if (typeof one === "function") return new Middleware(one);
        if (one === null || typeof one !== "object" || typeof one.kind !== "string") {
            throw new TypeError("[routerAdd] unsupported middleware type");
        }
        return one;
    };
    const flat = (middlewares) => middlewares.flat(Infinity).map(asMiddleware);

    api.routerAdd = (method, path, handler, ...middlewares) => {
        if (typeof handler !== "function") throw new TypeError("[routerAdd] the handler must be a function");
        host.register.route(String(method), String(path), handler, flat(middlewares));
    };
    api.routerUse = (...middlewares) => host.register.use(flat(middlewares));

    const needsAuth = (names) => (e) => {
        if (!e.auth) throw new api.UnauthorizedError("The request requires valid record authorization token.");
        if (names.length > 0 && !names.includes(e.auth.collection().name)) {
            throw new api.ForbiddenError("The authorized record is not allowed to perform this action.");
        }
        return e.next();
    };

    const goesOn = (e) => e.next();

    api.$apis = {
        requireAuth: (...names) => builtIn("pbRequireAuth", "requireAuth", names.flat(), needsAuth(names.flat())),
        requireSuperuserAuth: () => builtIn("pbRequireSuperuserAuth", "requireAuth", ["_superusers"], needsAuth(["_superusers"])),
        requireGuestOnly: () =>
            builtIn("pbRequireGuestOnly", "requireGuest", null, (e) => {
                if (e.auth) throw new api.BadRequestError("The request can be accessed only by guests.");
                return e.next();
            }),
        requireSuperuserOrOwnerAuth: (parameter) =>
            builtIn("pbRequireSuperuserOrOwnerAuth", "requireOwner", parameter || "id", (e) => {
                if (!e.auth) throw new api.UnauthorizedError("The request requires superuser or record authorization token.");
                if (!e.hasSuperuserAuth() && e.auth.id !== e.request.pathValue(parameter || "id")) throw new api.ForbiddenError();
                return e.next();
            }),
        skipSuccessActivityLog: () => builtIn("pbSkipSuccessActivityLog", "skipActivityLog", null, goesOn),
        bodyLimit: (bytes) => builtIn("pbBodyLimit", "bodyLimit", Math.max(0, Number(bytes) || 0), goesOn, -990),
        gzip: () => builtIn("pbGzip", "gzip", null, goesOn),
        static: (folder, fallback) => (e) => {
            host.serveFile(e, folder, e.request.pathValue("path"), fallback === true);
            return null;
        },
    };
    for (const name of ["ApiError", "NotFoundError", "BadRequestError", "ForbiddenError", "UnauthorizedError", "TooManyRequestsError", "InternalServerError"]) {
        api.$apis[name] = api[name];
    }

    const enrichRecord = (e, record, ...expands) => {
        const expanded = host.apis.enrich.call(e, record, expands.flat().join(","));
        if (expanded !== null) host.record.setExpandMap.call(record, expanded);
    };
    api.$apis.enrichRecord = enrichRecord;
    api.$apis.enrichRecords = (e, records, ...expands) => {
        for (const record of records) enrichRecord(e, record, ...expands);
    };
    api.$apis.recordAuthResponse = (e, record, method, meta) => {
        host.apis.signIn.call(e, record, method || "", meta === undefined ? null : meta);
        return null;
    };

    /** A folder as scripts hand it on, or its path. */
    const pathOf = (folder) => {
        if (typeof folder === "string") return folder;
        if (folder && typeof folder.folderPath === "string") return folder.folderPath;
        throw new TypeError("a folder is expected: a path, or what $os.dirFS gives");
    };
    host.serveFile = (event, folder, name, fallback) => host.response.file.call(event, pathOf(folder), name, fallback);
})
