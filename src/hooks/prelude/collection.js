// Collections and their fields.
(function (host, api) {
    "use strict";

    const native = host.collection;

    // Fields. All members of a type are properties; the type is a method.
    const TYPES = {};

    class Field {
        constructor(members) {
            const given = members !== null && typeof members === "object" ? members : {};
            const type = this.type() || String(given.type ?? "");
            const whole = native.field({ ...given, type });
            if (whole === null) return null;
            delete whole.type;
            if (this.type() === "") Object.setPrototypeOf(this, TYPES[type].prototype);
            Object.assign(this, whole);
        }
        type() {
            return "";
        }
        getId() {
            return this.id;
        }
        setId(id) {
            this.id = id;
        }
        getName() {
            return this.name;
        }
        setName(name) {
            this.name = name;
        }
        getSystem() {
            return this.system;
        }
        setSystem(system) {
            this.system = system;
        }
        getHidden() {
            return this.hidden;
        }
        setHidden(hidden) {
            this.hidden = hidden;
        }
        /** Whether a key of record data leads to the field. */
        takes(key) {
            if (key === this.name) return true;
            const list = ["select", "relation", "file"].includes(this.type());
            const counts = list || this.type() === "number";
            return (
                (counts && (key === this.name + "+" || key === this.name + "-")) ||
                (list && key === "+" + this.name) ||
                (this.type() === "text" && key === this.name + ":autogenerate")
            );
        }
        isMultiple() {
            return this.maxSelect > 1;
        }
        toJSON() {
            return { ...this, type: this.type() };
        }
    }
    api.Field = Field;

    for (const [name, type] of [
        ["TextField", "text"], ["NumberField", "number"], ["BoolField", "bool"], ["EmailField", "email"], ["URLField", "url"],
        ["EditorField", "editor"], ["DateField", "date"], ["AutodateField", "autodate"], ["SelectField", "select"], ["JSONField", "json"],
        ["FileField", "file"], ["RelationField", "relation"], ["PasswordField", "password"], ["GeoPointField", "geoPoint"],
    ]) {
        const one = class extends Field {
            type() {
                return type;
            }
        };
        Object.defineProperty(one, "name", { value: name });
        TYPES[type] = one;
        api[name] = one;
    }

    // A field of plain members, which are whole already.
    const fieldOf = (members) => {
        if (members instanceof Field) return members;
        const of = TYPES[members.type];
        if (of === undefined) return new Field(members);
        const { type, ...rest } = members;
        return Object.assign(Object.create(of.prototype), rest);
    };

    class FieldsList extends Array {
        static get [Symbol.species]() {
            return Array;
        }
        constructor(list) {
            super();
            if (list !== null && typeof list === "object") this.add(...Array.from(list, (field) => (field instanceof Field ? field : new Field(field))));
        }
        add(...fields) {
            for (const field of fields) this.#put(-1, field);
        }
        addAt(position, ...fields) {
            const total = this.length;
            fields.forEach((field, index) => this.#put(position < 0 ? -1 : Math.min(position, total) + index, field));
        }
        addMarshaledJSON(text) {
            const list = JSON.parse(String(text));
            this.add(...(Array.isArray(list) ? list : [list]));
        }
        addMarshaledJSONAt(position, text) {
            const list = JSON.parse(String(text));
            this.addAt(position, ...(Array.isArray(list) ? list : [list]));
        }
        getByName(name) {
            return this.find((field) => field.name === name) ?? null;
        }
        getById(id) {
            return this.find((field) => field.id === id) ?? null;
        }
        removeByName(name) {
            this.#remove(this.findIndex((field) => field.name === name));
        }
        removeById(id) {
            this.#remove(this.findIndex((field) => field.id === id));
        }
        fieldNames() {
            return Array.from(this, (field) => field.name);
        }
        asMap() {
            const map = {};
            for (const field of this) map[field.name] = field;
            return map;
        }
        clone() {
            return listOf(JSON.parse(JSON.stringify(this)));
        }
        string() {
            return JSON.stringify(this);
        }
        toString() {
            return this.string();
        }
        #remove(at) {
            if (at >= 0) this.splice(at, 1);
        }
        // With an id a field takes the place of the one with that id; without, of the one with its name.
        #put(position, given) {
            const field = given instanceof Field ? given : new Field(given);
            if (field === null || field === undefined) return;
            const byName = !field.id;
            if (byName) {
                const [whole] = native.fields([field]);
                const base = whole.id;
                let id = base;
                for (let i = 2; i < 1000 && this.getById(id) !== null; i++) id = base + i;
                field.id = id;
            }
            const same = (other) => (byName ? field.name !== "" && other.name === field.name : other.id === field.id);
            const at = this.findIndex(same);
            if (at >= 0) {
                if (byName) field.id = this[at].id;
                if (position < 0) {
                    this[at] = field;
                    return;
                }
                this.splice(at, 1);
            }
            if (position < 0) this.push(field);
            else this.splice(Math.min(position, this.length), 0, field);
        }
    }
    api.FieldsList = FieldsList;

    const listOf = (fields) => {
        const list = new FieldsList();
        for (const field of fields) list.push(fieldOf(field));
        return list;
    };

    // The members of a collection as script values, made when first asked for.
    const members = (collection) => {
        const known = native.known.call(collection);
        if (known !== undefined) return known;
        const made = native.members.call(collection);
        made.fields = listOf(made.fields);
        native.keep.call(collection, made);
        return made;
    };

    const COMMON = ["id", "name", "type", "system", "listRule", "viewRule", "createRule", "updateRule", "deleteRule", "fields", "indexes", "created", "updated"];
    const OPTIONS = [
        "viewQuery", "authRule", "manageRule", "authAlert", "oauth2", "passwordAuth", "mfa", "otp", "authToken", "passwordResetToken",
        "emailChangeToken", "verificationToken", "fileToken", "verificationTemplate", "resetPasswordTemplate", "confirmEmailChangeTemplate",
    ];
    const BASICS = new Set(["id", "name", "type", "system"]);

    class Collection {
        constructor(given) {
            const plain = given !== null && typeof given === "object" ? { ...given } : {};
            const collection = native.make(plain);
            if (new.target !== Collection) Object.setPrototypeOf(collection, new.target.prototype);
            return collection;
        }
        isBase() {
            return this.type === "base" || this.type === "";
        }
        isAuth() {
            return this.type === "auth";
        }
        isView() {
            return this.type === "view";
        }
        isNew() {
            return native.isNew.call(this);
        }
        markAsNew() {
            native.markAsNew.call(this, true);
        }
        markAsNotNew() {
            native.markAsNew.call(this, false);
        }
        pk() {
            return this.id;
        }
        lastSavedPK() {
            return this.isNew() ? "" : this.id;
        }
        tableName() {
            return "_collections";
        }
        baseFilesPath() {
            return this.id;
        }
        idChecksum() {
            return this.id;
        }
        getIndex(name) {
            return this.indexes.find((index) => native.index(index).toLowerCase() === String(name).toLowerCase()) ?? "";
        }
        addIndex(name, unique, columns, where) {
            this.removeIndex(name);
            const condition = where ? ` WHERE ${where}` : "";
            this.indexes.push(`CREATE ${unique ? "UNIQUE " : ""}INDEX \`${name}\` ON \`${this.name}\` (${columns})${condition}`);
        }
        removeIndex(name) {
            const all = members(this);
            all.indexes = all.indexes.filter((index) => native.index(index).toLowerCase() !== String(name).toLowerCase());
        }
        unmarshalJSON(text) {
            Object.assign(this, JSON.parse(String(text)));
        }
        marshalJSON() {
            return JSON.stringify(this);
        }
        dbExport() {
            return this.toJSON();
        }
        /** As the API shows it: without the secrets of tokens. */
        toJSON() {
            const shown = { ...members(this) };
            for (const name of ["authToken", "passwordResetToken", "emailChangeToken", "verificationToken", "fileToken"]) {
                if (shown[name]) shown[name] = { duration: shown[name].duration };
            }
            if (shown.oauth2 && shown.oauth2.providers) {
                shown.oauth2 = { ...shown.oauth2, providers: shown.oauth2.providers.map(({ clientSecret, ...rest }) => rest) };
            }
            return shown;
        }
    }

    for (const name of [...COMMON, ...OPTIONS]) {
        Object.defineProperty(Collection.prototype, name, {
            configurable: true,
            enumerable: true,
            get() {
                if (BASICS.has(name) && native.known.call(this) === undefined) return native.basics.call(this, name);
                return members(this)[name];
            },
            set(value) {
                members(this)[name] = name === "fields" ? (value instanceof FieldsList ? value : new FieldsList(value)) : value;
            },
        });
    }

    host.collectionPrototype = Collection.prototype;
    host.isCollection = (value) => value instanceof Collection;
    api.Collection = Collection;
})
