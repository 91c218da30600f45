// SQL: conditions, the query builder, statements.
(function (host, api) {
    "use strict";

    const native = host.db;

    // Parameters of one statement, by names of our own.
    class Params {
        constructor() {
            this.values = {};
            this.count = 0;
        }
        add(value) {
            const name = `p${this.count++}`;
            this.values[name] = value === undefined ? null : value;
            return `{:${name}}`;
        }
        merge(values) {
            if (values) Object.assign(this.values, values);
        }
    }

    // Quoting of names, which leaves calls and what is quoted already alone.
    const quoted = (name) => {
        const text = String(name).trim();
        if (text === "*" || /[`"'(\[{]/.test(text)) return text;
        return text.split(".").map((part) => (part === "*" ? part : "`" + part + "`")).join(".");
    };
    // `name AS alias` and `name alias`.
    const quotedAs = (name) => {
        const text = String(name).trim();
        const alias = /^(.*?)(?:\s+as\s+|\s+)([\w\-.]+)$/i.exec(text);
        if (alias === null || /^\(/.test(text) && !/\)\s/.test(text)) return quoted(text);
        const of = alias[1].trim();
        return `${/\s/.test(of) && !of.includes("(") ? of : quoted(of)} ${"AS"} \`${alias[2]}\``;
    };

    // A condition builds its text; an empty one counts as none.
    class Expression {
        constructor(build) {
            this.build = build;
        }
    }
    const none = new Expression(() => "");
    const raw = (text, params) =>
        new Expression((into) => {
            into.merge(params);
            return String(text);
        });
    const built = (expression, into) => {
        if (expression === null || expression === undefined) return "";
        if (expression instanceof Expression) return expression.build(into);
        if (typeof expression === "string") return expression;
        // A plain object stands for equal values.
        return hash(expression).build(into);
    };

    const joined = (word, list) =>
        new Expression((into) => {
            const parts = list.map((expression) => built(expression, into)).filter((text) => text !== "");
            if (parts.length <= 1) return parts[0] ?? "";
            return parts.map((text) => `(${text})`).join(` ${word} `);
        });

    const inList = (column, values, not) =>
        new Expression((into) => {
            if (values.length === 0) return not ? "" : "0=1";
            if (values.length === 1) {
                const [value] = values;
                if (value === null || value === undefined) return `${quoted(column)} IS ${not ? "NOT " : ""}NULL`;
                return `${quoted(column)}${not ? "<>" : "="}${into.add(value)}`;
            }
            return `${quoted(column)} ${not ? "NOT " : ""}IN (${values.map((value) => into.add(value)).join(", ")})`;
        });

    const hash = (members) =>
        new Expression((into) => {
            const parts = Object.keys(members ?? {}).sort().map((name) => {
                const value = members[name];
                if (value === null || value === undefined) return `${quoted(name)} IS NULL`;
                if (value instanceof Expression) return `(${value.build(into)})`;
                if (Array.isArray(value)) return inList(name, value, false).build(into);
                return `${quoted(name)}=${into.add(value)}`;
            });
            const there = parts.filter((text) => text !== "");
            return there.length === 1 ? there[0] : there.map((text) => text).join(" AND ");
        });

    const ESCAPES = { "\\": "\\\\", "%": "\\%", "_": "\\_" };

    class Like extends Expression {
        #column;
        #values;
        #word;
        #operator;
        #left = true;
        #right = true;
        #escapes = ESCAPES;
        constructor(column, values, word, operator) {
            super((into) => this.#text(into));
            this.#column = column;
            this.#values = values;
            this.#word = word;
            this.#operator = operator;
        }
        match(left, right) {
            this.#left = left;
            this.#right = right;
            return this;
        }
        escape(...pairs) {
            this.#escapes = {};
            for (let i = 0; i + 1 < pairs.length; i += 2) this.#escapes[pairs[i]] = pairs[i + 1];
            return this;
        }
        #text(into) {
            const parts = this.#values.map((value) => {
                let text = String(value);
                text = Array.from(text, (char) => this.#escapes[char] ?? char).join("");
                const pattern = (this.#left ? "%" : "") + text + (this.#right ? "%" : "");
                return `${quoted(this.#column)} ${this.#operator} ${into.add(pattern)} ESCAPE '\\'`;
            });
            return parts.join(` ${this.#word} `);
        }
    }

    const $dbx = {
        exp: (text, params) => raw(text, params),
        hashExp: (members) => hash(members),
        not: (expression) =>
            new Expression((into) => {
                const text = built(expression, into);
                return text === "" ? "" : `NOT (${text})`;
            }),
        and: (...list) => joined("AND", list),
        or: (...list) => joined("OR", list),
        in: (column, ...values) => inList(column, values, false),
        notIn: (column, ...values) => inList(column, values, true),
        like: (column, ...values) => new Like(column, values, "AND", "LIKE"),
        orLike: (column, ...values) => new Like(column, values, "OR", "LIKE"),
        notLike: (column, ...values) => new Like(column, values, "AND", "NOT LIKE"),
        orNotLike: (column, ...values) => new Like(column, values, "OR", "NOT LIKE"),
        exists: (expression) =>
            new Expression((into) => {
                const text = built(expression, into);
                return text === "" ? "0=1" : `EXISTS (${text})`;
            }),
        notExists: (expression) =>
            new Expression((into) => {
                const text = built(expression, into);
                return text === "" ? "" : `NOT EXISTS (${text})`;
            }),
        between: (column, from, to) => new Expression((into) => `${quoted(column)} BETWEEN ${into.add(from)} AND ${into.add(to)}`),
        notBetween: (column, from, to) => new Expression((into) => `${quoted(column)} NOT BETWEEN ${into.add(from)} AND ${into.add(to)}`),
    };
    api.$dbx = Object.freeze($dbx);

    const noRows = () => host.failure.noRows();

    // What `all` and `one` fill.
    const rowObject = (columns, row) => {
        const data = {};
        columns.forEach((name, index) => {
            data[name] = row[index];
        });
        return data;
    };

    class Result {
        #done;
        constructor(done) {
            this.#done = done;
        }
        rowsAffected() {
            return this.#done[0];
        }
        lastInsertId() {
            return this.#done[1];
        }
    }

    // A statement, to be run once or more often.
    class Query {
        #text;
        #params = {};
        #auxiliary;
        constructor(text, params, auxiliary) {
            this.#text = String(text);
            this.#params = { ...params };
            this.#auxiliary = auxiliary === true;
        }
        sql() {
            return this.#text;
        }
        params() {
            return { ...this.#params };
        }
        bind(params) {
            Object.assign(this.#params, params);
            return this;
        }
        prepare() {
            return this;
        }
        close() {}
        withContext() {
            return this;
        }
        execute() {
            return new Result(native.execute(this.#text, this.#params, this.#auxiliary));
        }
        #rows() {
            return native.query(this.#text, this.#params, this.#auxiliary);
        }
        all(target) {
            if (!host.isList(target)) throw new TypeError("must be a pointer; all() takes what arrayOf() gives");
            const { columns, rows } = this.#rows();
            host.fillList(target, rows.map((row) => rowObject(columns, row)));
        }
        one(target) {
            const { columns, rows } = this.#rows();
            if (rows.length === 0) throw noRows();
            host.fill(target, rowObject(columns, rows[0]));
        }
        column(target) {
            const { rows } = this.#rows();
            host.fillList(target, rows.map((row) => row[0]));
        }
        /** Fills lists or models with the columns of the first row, in order; gives them as a list, too. */
        row(...targets) {
            const { rows } = this.#rows();
            if (rows.length === 0) throw noRows();
            targets.forEach((target, index) => host.fillScalar(target, rows[0][index]));
            return rows[0];
        }
        rows() {
            const { columns, rows } = this.#rows();
            return cursor(columns, rows.map((row) => rowObject(columns, row)));
        }
    }

    // A list of rows that can be walked as PocketBase's cursors are.
    const cursor = (columns, list) => {
        let at = -1;
        const methods = {
            next: () => ++at < list.length,
            scanStruct: (target) => host.fill(target, list[at]),
            scanMap(target) {
                Object.assign(target, list[at]);
            },
            scan: (...targets) => targets.forEach((target, index) => host.fillScalar(target, list[at][columns[index]])),
            columns: () => [...columns],
            close: () => undefined,
            err: () => null,
        };
        for (const [name, value] of Object.entries(methods)) Object.defineProperty(list, name, { value });
        return list;
    };
    host.fillScalar = (target, value) => {
        if (host.isNullable(target)) target.fill(value);
        else if (host.isList(target)) host.fillList(target, [value]);
        else if (target !== null && typeof target === "object") host.fill(target, value);
    };

    class SelectQuery {
        #db;
        #columns = [];
        #distinct = false;
        #option = "";
        #from = [];
        #where = null;
        #joins = [];
        #groups = [];
        #having = null;
        #orders = [];
        #limit = -1;
        #offset = -1;
        #unions = [];
        #params = {};
        // For queries of records: the collection whose records come of it.
        #collection;
        constructor(db, columns, collection) {
            this.#db = db;
            this.#columns = columns;
            this.#collection = collection ?? null;
        }
        select(...columns) {
            this.#columns = columns;
            return this;
        }
        andSelect(...columns) {
            this.#columns = [...this.#columns, ...columns];
            return this;
        }
        distinct(distinct) {
            this.#distinct = distinct !== false;
            return this;
        }
        selectOption(option) {
            this.#option = option;
            return this;
        }
        from(...tables) {
            this.#from = tables;
            return this;
        }
        where(expression) {
            this.#where = expression;
            return this;
        }
        andWhere(expression) {
            this.#where = this.#where === null ? expression : $dbx.and(this.#where, expression);
            return this;
        }
        orWhere(expression) {
            this.#where = this.#where === null ? expression : $dbx.or(this.#where, expression);
            return this;
        }
        join(type, table, on) {
            this.#joins.push([type, table, on]);
            return this;
        }
        innerJoin(table, on) {
            return this.join("INNER JOIN", table, on);
        }
        leftJoin(table, on) {
            return this.join("LEFT JOIN", table, on);
        }
        rightJoin(table, on) {
            return this.join("RIGHT JOIN", table, on);
        }
        orderBy(...columns) {
            this.#orders = columns;
            return this;
        }
        andOrderBy(...columns) {
            this.#orders = [...this.#orders, ...columns];
            return this;
        }
        groupBy(...columns) {
            this.#groups = columns;
            return this;
        }
        andGroupBy(...columns) {
            this.#groups = [...this.#groups, ...columns];
            return this;
        }
        having(expression) {
            this.#having = expression;
            return this;
        }
        andHaving(expression) {
            this.#having = this.#having === null ? expression : $dbx.and(this.#having, expression);
            return this;
        }
        orHaving(expression) {
            this.#having = this.#having === null ? expression : $dbx.or(this.#having, expression);
            return this;
        }
        union(query) {
            this.#unions.push(["UNION", query]);
            return this;
        }
        unionAll(query) {
            this.#unions.push(["UNION ALL", query]);
            return this;
        }
        limit(limit) {
            this.#limit = Number(limit);
            return this;
        }
        offset(offset) {
            this.#offset = Number(offset);
            return this;
        }
        bind(params) {
            this.#params = { ...params };
            return this;
        }
        andBind(params) {
            Object.assign(this.#params, params);
            return this;
        }
        withContext() {
            return this;
        }
        info() {
            return { selects: this.#columns, distinct: this.#distinct, from: this.#from, where: this.#where, orderBy: this.#orders, limit: this.#limit, offset: this.#offset };
        }
        #text(into) {
            const columns = this.#columns.length === 0 ? "*" : this.#columns.map(quotedColumn).join(", ");
            let text = `SELECT ${this.#distinct ? "DISTINCT " : ""}${this.#option ? this.#option + " " : ""}${columns}`;
            if (this.#from.length > 0) text += ` FROM ${this.#from.map(quotedAs).join(", ")}`;
            for (const [type, table, on] of this.#joins) {
                const condition = built(on, into);
                text += ` ${type} ${quotedAs(table)}${condition === "" ? "" : ` ON ${condition}`}`;
            }
            const where = built(this.#where, into);
            if (where !== "") text += ` WHERE ${where}`;
            if (this.#groups.length > 0) text += ` GROUP BY ${this.#groups.map(quoted).join(", ")}`;
            const having = built(this.#having, into);
            if (having !== "") text += ` HAVING ${having}`;
            for (const [word, query] of this.#unions) {
                text += ` ${word} ${query.sql()}`;
                into.merge(query.params());
            }
            if (this.#orders.length > 0) text += ` ORDER BY ${this.#orders.map(quotedOrder).join(", ")}`;
            if (this.#limit > 0 || this.#offset > 0) text += ` LIMIT ${this.#limit >= 0 ? Math.trunc(this.#limit) : -1}`;
            if (this.#offset > 0) text += ` OFFSET ${Math.trunc(this.#offset)}`;
            return text;
        }
        build() {
            const into = new Params();
            const text = this.#text(into);
            into.merge(this.#params);
            return this.#db.newQuery(text).bind(into.values);
        }
        /** The records that the query gives. */
        records() {
            const query = this.build();
            return native.records(this.#collection, query.sql(), query.params());
        }
        #givesRecords(target) {
            const example = host.isList(target) ? host.listExample(target) : target;
            return this.#collection !== null && example instanceof api.Record;
        }
        all(target) {
            if (!this.#givesRecords(target)) return this.build().all(target);
            target.length = 0;
            target.push(...this.records());
        }
        one(target) {
            this.limit(1);
            if (!this.#givesRecords(target)) return this.build().one(target);
            const [found] = this.records();
            if (found === undefined) throw noRows();
            host.assignTo(target, found);
        }
        row(...targets) {
            return this.build().row(...targets);
        }
        column(target) {
            return this.build().column(target);
        }
        rows() {
            return this.build().rows();
        }
        execute() {
            return this.build().execute();
        }
        model(id, target) {
            this.andWhere(hash({ id }));
            return this.one(target);
        }
    }

    const quotedColumn = (column) => {
        if (column instanceof Expression) return column.build(new Params());
        return quotedAs(column);
    };
    const quotedOrder = (column) => {
        const order = /^(.*?)\s+(asc|desc)(\s+nulls\s+(?:first|last))?$/i.exec(String(column).trim());
        return order === null ? quoted(column) : `${quoted(order[1])} ${order[2]}${order[3] ?? ""}`;
    };

    // The builder of statements over data.db or auxiliary.db.
    class DB {
        #auxiliary;
        constructor(auxiliary) {
            this.#auxiliary = auxiliary;
        }
        newQuery(text) {
            return new Query(text, {}, this.#auxiliary);
        }
        select(...columns) {
            return new SelectQuery(this, columns);
        }
        insert(table, columns) {
            const into = new Params();
            const names = Object.keys(columns ?? {}).sort();
            if (names.length === 0) return this.newQuery(`INSERT INTO ${quoted(table)} DEFAULT VALUES`);
            const values = names.map((name) => valueText(columns[name], into));
            return this.newQuery(`INSERT INTO ${quoted(table)} (${names.map(quoted).join(", ")}) VALUES (${values.join(", ")})`).bind(into.values);
        }
        upsert(table, columns, ...constraints) {
            const into = new Params();
            const names = Object.keys(columns ?? {}).sort();
            const values = names.map((name) => valueText(columns[name], into));
            const on = constraints.length > 0 ? `(${constraints.map(quoted).join(", ")})` : "";
            const sets = names.map((name) => `${quoted(name)}=excluded.${quoted(name)}`).join(", ");
            return this.newQuery(`INSERT INTO ${quoted(table)} (${names.map(quoted).join(", ")}) VALUES (${values.join(", ")}) ON CONFLICT ${on} DO UPDATE SET ${sets}`).bind(into.values);
        }
        update(table, columns, where) {
            const into = new Params();
            const sets = Object.keys(columns ?? {}).sort().map((name) => `${quoted(name)}=${valueText(columns[name], into)}`);
            const condition = built(where, into);
            return this.newQuery(`UPDATE ${quoted(table)} SET ${sets.join(", ")}${condition === "" ? "" : ` WHERE ${condition}`}`).bind(into.values);
        }
        delete(table, where) {
            const into = new Params();
            const condition = built(where, into);
            return this.newQuery(`DELETE FROM ${quoted(table)}${condition === "" ? "" : ` WHERE ${condition}`}`).bind(into.values);
        }
        createTable(table, columns, ...options) {
            const lines = Object.keys(columns ?? {}).sort().map((name) => `${quoted(name)} ${columns[name]}`);
            return this.newQuery(`CREATE TABLE ${quoted(table)} (${[...lines, ...options].join(", ")})`);
        }
        renameTable(table, name) {
            return this.newQuery(`ALTER TABLE ${quoted(table)} RENAME TO ${quoted(name)}`);
        }
        dropTable(table) {
            return this.newQuery(`DROP TABLE ${quoted(table)}`);
        }
        truncateTable(table) {
            return this.newQuery(`DELETE FROM ${quoted(table)}`);
        }
        addColumn(table, column, type) {
            return this.newQuery(`ALTER TABLE ${quoted(table)} ADD COLUMN ${quoted(column)} ${type}`);
        }
        dropColumn(table, column) {
            return this.newQuery(`ALTER TABLE ${quoted(table)} DROP COLUMN ${quoted(column)}`);
        }
        renameColumn(table, column, name) {
            return this.newQuery(`ALTER TABLE ${quoted(table)} RENAME COLUMN ${quoted(column)} TO ${quoted(name)}`);
        }
        createIndex(table, name, ...columns) {
            return this.newQuery(`CREATE INDEX ${quoted(name)} ON ${quoted(table)} (${columns.map(quoted).join(", ")})`);
        }
        createUniqueIndex(table, name, ...columns) {
            return this.newQuery(`CREATE UNIQUE INDEX ${quoted(name)} ON ${quoted(table)} (${columns.map(quoted).join(", ")})`);
        }
        dropIndex(table, name) {
            return this.newQuery(`DROP INDEX ${quoted(name)}`);
        }
        driverName() {
            return "sqlite";
        }
        quote(text) {
            return `'${String(text).replaceAll("'", "''")}'`;
        }
        quoteTableName(name) {
            return quoted(name);
        }
        quoteColumnName(name) {
            return quoted(name);
        }
        quoteSimpleTableName(name) {
            return quoted(name);
        }
        quoteSimpleColumnName(name) {
            return quoted(name);
        }
        transactional(work) {
            return host.app.object.runInTransaction(() => work(this));
        }
    }

    const valueText = (value, into) => (value instanceof Expression ? value.build(into) : into.add(value));

    host.db.data = new DB(false);
    host.db.auxiliary = new DB(true);
    /** A query for the records of a collection. */
    host.db.recordQuery = (collection) => new SelectQuery(host.db.data, [`${collection.name}.*`], collection).from(collection.name);
})
