// `db`: records as plain objects. What fails gives `{error}`, nothing throws.
(function (host, api) {
    "use strict";

    const native = host.data;

    const db = {
        findById: (collection, id) => native.findById(collection, id),
        findOne: (collection, filter, params) => native.findOne(collection, filter, params),
        findAll: (collection, filter, sort, limit, offset, params) =>
            native.findAll(collection, filter, sort, limit, offset, params),
        create: (collection, data) => native.create(collection, data),
        update: (collection, id, data) => native.update(collection, id, data),
        delete: (collection, id) => native.delete(collection, id),
        count: (collection, filter, params) => native.count(collection, filter, params),

        query(sql, ...values) {
            try {
                return select(String(sql), values);
            } catch (error) {
                return native.failure(error);
            }
        },

        // What `work` throws undoes everything that it did; so does an object with a member `error` that it returns.
        transaction(work) {
            let returned;
            try {
                return host.app.transaction(() => {
                    returned = work(db);
                    if (returned !== null && typeof returned === "object" && returned.error) {
                        throw refused;
                    }
                    return returned;
                });
            } catch (error) {
                return error === refused ? returned : native.failure(error);
            }
        },
    };

    const refused = { error: "the transaction is undone" };

    // Question marks stand for the values, in order.
    function select(sql, values) {
        const given = values.length === 1 && Array.isArray(values[0]) ? values[0] : values;
        const params = {};
        let count = 0;
        // Texts, quoted names and comments are left alone.
        const parts = /'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|--[^\n]*|\/\*[^]*?\*\/|\?/g;
        const named = sql.replace(parts, (part) => {
            if (part !== "?") {
                return part;
            }
            if (count >= given.length) {
                throw new RangeError("db.query has more question marks than values");
            }
            params["v" + count] = given[count];
            return "{:v" + count++ + "}";
        });
        if (count !== given.length) {
            throw new RangeError("db.query has more values than question marks");
        }
        return native.query(named, params);
    }

    api.db = db;
})
