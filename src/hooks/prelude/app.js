// `$app`.
(function (host, api) {
    "use strict";

    const native = host.app;
    const models = host.models;

    // Collections may be given as names, ids or objects.
    const nameOf = (collection) => (typeof collection === "object" && collection !== null ? collection.id : String(collection));
    const collectionOf = (collection) => (host.isCollection(collection) ? collection : models.findCollection(String(collection)));
    const isRecord = (model) => model instanceof api.Record;
    const flat = (items) => items.flat(Infinity).filter((item) => item !== null && item !== undefined);
    const many = (texts) => flat(texts).map(String);
    const ok = null;

    class Settings {
        constructor(members) {
            Object.assign(this, members);
        }
        clone() {
            return new Settings(JSON.parse(JSON.stringify({ ...this })));
        }
        merge(other) {
            merged(this, other);
        }
        isNew() {
            return false;
        }
        pk() {
            return "settings";
        }
        tableName() {
            return "_params";
        }
        string() {
            return JSON.stringify(this);
        }
        toString() {
            return this.string();
        }
    }
    const merged = (target, source) => {
        for (const key of Object.keys(source ?? {})) {
            const value = source[key];
            const both = value !== null && typeof value === "object" && !Array.isArray(value) && target[key] !== null && typeof target[key] === "object";
            if (both) merged(target[key], value);
            else target[key] = value;
        }
    };
    host.isSettings = (model) => model instanceof Settings;
    host.makeSettings = (members) => new Settings(members);

    // Values that all scripts share.
    class Store {
        #map = new Map();
        get(key) {
            return this.#map.has(key) ? this.#map.get(key) : null;
        }
        getOk(key) {
            return [this.get(key), this.has(key)];
        }
        set(key, value) {
            this.#map.set(key, value);
        }
        setFunc(key, change) {
            this.#map.set(key, change(this.get(key)));
        }
        has(key) {
            return this.#map.has(key);
        }
        remove(key) {
            this.#map.delete(key);
        }
        removeAll() {
            this.#map.clear();
        }
        reset(values) {
            this.#map = new Map(Object.entries(values ?? {}));
        }
        getAll() {
            return Object.fromEntries(this.#map);
        }
        values() {
            return [...this.#map.values()];
        }
        getOrSet(key, make) {
            if (!this.#map.has(key)) this.#map.set(key, make());
            return this.#map.get(key);
        }
        setIfLessThanLimit(key, value, max) {
            if (!this.#map.has(key) && this.#map.size >= max) return false;
            this.#map.set(key, value);
            return true;
        }
        length() {
            return this.#map.size;
        }
        toJSON() {
            return this.getAll();
        }
    }

    // Log lines with attributes in pairs.
    class Logger {
        #with;
        #group;
        constructor(attributes, group) {
            this.#with = attributes;
            this.#group = group;
        }
        with(...attributes) {
            return new Logger([...this.#with, ...this.#named(attributes)], this.#group);
        }
        withGroup(name) {
            return new Logger(this.#with, `${this.#group}${name}.`);
        }
        #named(attributes) {
            return attributes.map((value, index) => (index % 2 === 0 ? this.#group + value : value));
        }
        #write(level, message, attributes) {
            const all = [...this.#with, ...this.#named(attributes)];
            const shown = [];
            for (let i = 0; i < all.length; i += 2) {
                const value = all[i + 1];
                shown.push(`${all[i]}=${typeof value === "string" ? value : JSON.stringify(value) ?? String(value)}`);
            }
            host.log.write(level, [String(message), ...shown].join(" "));
        }
        debug(message, ...attributes) {
            this.#write("debug", message, attributes);
        }
        info(message, ...attributes) {
            this.#write("info", message, attributes);
        }
        warn(message, ...attributes) {
            this.#write("warn", message, attributes);
        }
        error(message, ...attributes) {
            this.#write("error", message, attributes);
        }
    }

    // What is to be done at the end of the transactions that scripts have opened, the innermost last.
    const endings = [];

    const store = new Store();
    const logger = new Logger([], "");

    // The scheduled jobs of scripts.
    const cron = {
        add: (id, expression, handler) => host.register.cron(id, expression, handler),
        mustAdd: (id, expression, handler) => host.register.cron(id, expression, handler),
        remove: (id) => host.register.uncron(id),
        jobs: () => host.info.crons().map(([id, expression]) => ({ id: () => id, expression: () => expression })),
        total: () => host.info.crons().length,
    };

    function unsupported(name) {
        return () => {
            throw host.failure.host(`$app.${name}() is not supported`);
        };
    }

    // What a callback of a query or of expand gave counts as an error if it is one of the host.
    const check = (returned) => {
        if (returned !== null && typeof returned === "object" && (returned.isApiError === true || returned.name === "GoError")) throw returned;
    };

    host.checkReturned = check;

    const conditions = (query, expressions) => {
        for (const expression of flat(expressions)) query.andWhere(expression);
        return query;
    };
    const filtered = (query, filters) => {
        for (const filter of flat(filters)) check(filter(query));
        return query;
    };

    const first = (records) => {
        if (records.length === 0) throw host.failure.noRows();
        return records[0];
    };

    // Relations are expanded level by level, each path by itself.
    const EXPAND_DEPTH_MAX = 6;
    const expandPath = (app, records, parts, fetch) => {
        const [name, ...rest] = parts;
        if (records.length === 0) return;
        const { collection, multiple, ids } = native.relation(records, name);
        const wanted = [...new Set(ids.flat())];
        const found = wanted.length === 0 ? [] : fetch ? fetch(collection, wanted) ?? [] : app.findRecordsByIds(collection, wanted);
        if (rest.length > 0) expandPath(app, found, rest, fetch);
        const byId = new Map(found.map((record) => [record.id, record]));
        records.forEach((record, index) => {
            const related = ids[index].map((id) => byId.get(id)).filter((one) => one !== undefined);
            if (related.length > 0) record.mergeExpand({ [name]: multiple ? related : related[0] });
        });
    };

    const ofRecord = (record) => ({ collectionRef: record.collection().id, recordRef: record.id });
    // The records that belong to an auth record, by the name of their collection: `findAll...ByRecord` and so on.
    const owned = (collection) => ({
        byRecord: (record) => app.recordQuery(collection).andWhere(ofRecord(record)).orderBy("created DESC").records(),
        byCollection: (of) => app.recordQuery(collection).andWhere({ collectionRef: collectionOf(of).id }).orderBy("created DESC").records(),
        byId: (id) => app.findRecordById(collection, id),
        drop: (records) => {
            for (const record of records) app.delete(record);
        },
    });
    const externalAuths = owned("_externalAuths");
    const mfas = owned("_mfas");
    const otps = owned("_otps");
    const origins = owned("_authOrigins");

    const app = {
        // Records.
        findRecordById: (collection, id, ...filters) => {
            if (flat(filters).length === 0) return native.findRecordById(collection, id);
            return first(filtered(app.recordQuery(collection).andWhere({ [`${collectionOf(collection).name}.id`]: id }), filters).limit(1).records());
        },
        findRecordsByIds: (collection, ids, ...filters) => {
            const wanted = Array.from(ids ?? [], String);
            if (flat(filters).length === 0) return native.findRecordsByIds(collection, wanted);
            if (wanted.length === 0) return [];
            return filtered(app.recordQuery(collection).andWhere(api.$dbx.in(`${collectionOf(collection).name}.id`, ...wanted)), filters).records();
        },
        findAllRecords: (collection, ...expressions) => conditions(app.recordQuery(collection), expressions).records(),
        findFirstRecordByData: (collection, name, value) => native.findRecordByField(collection, name, value),
        findRecordsByFilter: (collection, filter, sort, limit, offset, ...params) =>
            native.search(collection, { filter: filter ?? "", sort: sort ?? "", limit: limit ?? 0, offset: offset ?? 0, params: Object.assign({}, ...flat(params)) }),
        findFirstRecordByFilter: (collection, filter, ...params) => first(native.search(collection, { filter, limit: 1, params: Object.assign({}, ...flat(params)) })),
        countRecords: (collection, ...expressions) => {
            const of = collectionOf(collection);
            return Number(conditions(app.recordQuery(of).select(`COUNT(DISTINCT [[${of.name}.id]])`), expressions).row()[0]);
        },
        findAuthRecordByEmail: (collection, email) => {
            const of = collectionOf(collection);
            if (!of.isAuth()) throw host.failure.host(`"${of.name}" is not an auth collection`);
            return native.findRecordByField(of, "email", email);
        },
        findAuthRecordByToken: (token, ...types) => native.findRecordByToken(String(token), many(types)),
        findRecordByViewFile: (view, field, file) => {
            const of = collectionOf(view);
            const found = models.fileOwner(of, String(field), String(file));
            return first(found);
        },
        canAccessRecord: (record, info, rule) => native.canAccess(record, info, rule),
        expandRecord: (record, expands, fetch) => app.expandRecords([record], expands, fetch),
        expandRecords: (records, expands, fetch) => {
            const failed = {};
            for (const path of many([expands ?? []])) {
                try {
                    expandPath(app, Array.from(records), path.trim().split(".").slice(0, EXPAND_DEPTH_MAX), fetch);
                } catch (error) {
                    failed[path] = error;
                }
            }
            return failed;
        },
        recordQuery: (collection) => host.db.recordQuery(collectionOf(collection)),
        isRecordNameUnique: unsupported("isRecordNameUnique"),

        // Collections.
        findCollectionByNameOrId: (name) => models.findCollection(nameOf(name)),
        findCachedCollectionByNameOrId: (name) => models.findCollection(nameOf(name)),
        findAllCollections: (...types) => models.findCollections(many(types)),
        findCollectionReferences: (collection, ...excluded) => {
            const skipped = many(excluded);
            const references = new Map();
            for (const other of models.findCollections([])) {
                if (skipped.includes(other.id)) continue;
                const fields = other.fields.filter((field) => field.type() === "relation" && field.collectionId === collection.id);
                if (fields.length > 0) references.set(other, fields);
            }
            return references;
        },
        findCachedCollectionReferences: (collection, ...excluded) => app.findCollectionReferences(collection, ...excluded),
        isCollectionNameUnique: (name, ...excluded) => {
            if (name === "") return false;
            const skipped = many(excluded);
            const taken = (other) => other.name.toLowerCase() === String(name).toLowerCase() && !skipped.includes(other.id);
            return !models.findCollections([]).some(taken);
        },
        collectionQuery: () => app.db().select("*").from("_collections"),
        importCollections: (list, deleteMissing) => models.importCollections(list, deleteMissing === true),
        importCollectionsByMarshaledJSON: (text, deleteMissing) => models.importCollections(JSON.parse(String(text)), deleteMissing === true),
        truncateCollection: (collection) => models.truncateCollection(collection),
        reloadCachedCollections: () => undefined,
        createViewFields: (query) => new api.FieldsList(models.viewFields(String(query))),
        saveView: (name, query) => {
            app.db().newQuery(`DROP VIEW IF EXISTS {{${name}}}`).execute();
            app.db().newQuery(`CREATE VIEW {{${name}}} AS SELECT * FROM (${String(query).trim().replace(/;+$/, "")})`).execute();
        },
        deleteView: (name) => {
            app.db().newQuery(`DROP VIEW IF EXISTS {{${name}}}`).execute();
        },

        // Saving, checking, deleting.
        save: (model) => save(model, true),
        saveNoValidate: (model) => save(model, false),
        saveWithContext: (context, model) => save(model, true),
        saveNoValidateWithContext: (context, model) => save(model, false),
        validate: (model) => {
            if (isRecord(model)) models.validateRecord(model);
        },
        delete: (model) => {
            if (isRecord(model)) models.deleteRecord(model);
            else if (host.isCollection(model)) models.deleteCollection(model);
            else throw host.failure.host("only records and collections can be deleted");
        },
        deleteWithContext: (context, model) => app.delete(model),

        runInTransaction: (work) => {
            const run = () => native.transaction(() => check(work(app)));
            // An inner one is part of the outer one.
            if (native.isTransactional()) return void run();
            const own = [];
            endings.push(own);
            let failed = null;
            try {
                run();
            } catch (error) {
                failed = error;
            }
            endings.splice(endings.indexOf(own), 1);
            for (const ending of own) {
                try {
                    check(ending(failed));
                } catch (error) {
                    failed ??= error;
                }
            }
            if (failed !== null) throw failed;
        },
        isTransactional: () => native.isTransactional(),
        txInfo: () => {
            const own = endings.at(-1);
            if (own === undefined || !native.isTransactional()) return null;
            return { onComplete: (ending) => void own.push(ending) };
        },
        unsafeDB: () => host.db.data,
        modelQuery: (model) => app.db().select("*").from(model.tableName()),
        auxModelQuery: (model) => app.auxDB().select("*").from(model.tableName()),

        // SQL.
        db: () => host.db.data,
        concurrentDB: () => host.db.data,
        nonconcurrentDB: () => host.db.data,
        auxDB: () => host.db.auxiliary,
        auxConcurrentDB: () => host.db.auxiliary,
        auxNonconcurrentDB: () => host.db.auxiliary,
        hasTable: (name) => hasTable(app.db(), name),
        auxHasTable: (name) => hasTable(app.auxDB(), name),
        tableColumns: (name) => app.db().newQuery("SELECT name FROM PRAGMA_TABLE_INFO({:name})").bind({ name: String(name) }).rows().map((row) => row.name),
        tableInfo: (name) => {
            const rows = app.db().newQuery("SELECT * FROM PRAGMA_TABLE_INFO({:name})").bind({ name: String(name) }).rows();
            if (rows.length === 0) throw host.failure.host(`empty table info probably due to invalid or missing table ${name}`);
            return rows.map((row) => ({ pk: row.pk, index: row.cid, name: row.name, type: row.type, notNull: row.notnull !== 0, defaultValue: row.dflt_value }));
        },
        tableIndexes: (name) => {
            const rows = app.db().newQuery("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND LOWER(tbl_name) = LOWER({:name}) AND sql IS NOT NULL").bind({ name: String(name) }).rows();
            return Object.fromEntries(rows.map((row) => [row.name, row.sql]));
        },
        deleteTable: (name) => {
            app.db().newQuery(`DROP TABLE IF EXISTS {{${name}}}`).execute();
        },

        // Accounts.
        findAllExternalAuthsByRecord: (record) => externalAuths.byRecord(record),
        findAllExternalAuthsByCollection: (collection) => externalAuths.byCollection(collection),
        findFirstExternalAuthByExpr: (expression) => first(app.recordQuery("_externalAuths").andWhere(expression).limit(1).records()),
        findAllMFAsByRecord: (record) => mfas.byRecord(record),
        findAllMFAsByCollection: (collection) => mfas.byCollection(collection),
        findMFAById: (id) => mfas.byId(id),
        deleteAllMFAsByRecord: (record) => mfas.drop(mfas.byRecord(record)),
        findAllOTPsByRecord: (record) => otps.byRecord(record),
        findAllOTPsByCollection: (collection) => otps.byCollection(collection),
        findOTPById: (id) => otps.byId(id),
        deleteAllOTPsByRecord: (record) => otps.drop(otps.byRecord(record)),
        findAllAuthOriginsByRecord: (record) => origins.byRecord(record),
        findAllAuthOriginsByCollection: (collection) => origins.byCollection(collection),
        findAuthOriginById: (id) => origins.byId(id),
        findAuthOriginByRecordAndFingerprint: (record, fingerprint) => first(app.recordQuery("_authOrigins").andWhere({ ...ofRecord(record), fingerprint }).limit(1).records()),
        deleteAllAuthOriginsByRecord: (record) => origins.drop(origins.byRecord(record)),

        // The application.
        settings: () => settings(),
        reloadSettings: () => {
            known = null;
        },
        logger: () => logger,
        store: () => store,
        cron: () => cron,
        subscriptionsBroker: () => host.broker,
        isDev: () => host.info.isDev(),
        isBootstrapped: () => host.info.isBootstrapped(),
        dataDir: () => host.info.dataDir(),
        createBackup: (context, name) => models.createBackup(String(name ?? context ?? "")),
        restoreBackup: (context, name) => models.restoreBackup(String(name ?? context ?? "")),
        logQuery: () => app.auxDB().select("*").from("_logs"),
        findLogById: (id) => first(app.logQuery().andWhere({ id }).limit(1).rows()),
        paramQuery: () => app.db().select("*").from("_params"),
    };

    const hasTable = (db, name) => db.newQuery("SELECT 1 FROM sqlite_schema WHERE type IN ('table', 'view') AND LOWER(name) = LOWER({:name}) LIMIT 1").bind({ name: String(name) }).rows().length > 0;

    // One object for all who ask, until the settings change.
    let known = null;
    let state = null;
    const settings = () => {
        if (known === null || !models.isCurrent(state)) {
            const [members, now] = models.settings();
            known = new Settings(members);
            state = now;
        }
        return known;
    };

    const save = (model, checked) => {
        if (isRecord(model)) models.saveRecord(model, checked);
        else if (host.isCollection(model)) models.saveCollection(model, checked);
        else if (model instanceof Settings) models.saveSettings(model);
        else throw host.failure.host("only records, collections and settings can be saved");
        return ok;
    };

    Object.assign(host.app, { object: app });
    api.$app = app;
})
