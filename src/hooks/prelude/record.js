// Records.
(function (host, api) {
    "use strict";

    const native = host.record;

    class Record {
        constructor(collection, data) {
            const record = native.make(collection);
            if (data !== null && typeof data === "object") record.load(data);
            // Subclasses keep their own methods.
            if (new.target !== Record) Object.setPrototypeOf(record, new.target.prototype);
            return record;
        }
        get id() {
            return this.get("id");
        }
        set id(value) {
            this.set("id", value);
        }
        pk() {
            return this.id;
        }
        lastSavedPK() {
            return this.original().id;
        }
        tableName() {
            return this.collection().name;
        }
        baseFilesPath() {
            const lastId = this.isNew() ? this.id : this.lastSavedPK() || this.id;
            return `${this.collection().baseFilesPath()}/${lastId}`;
        }
        hookTags() {
            const collection = this.collection();
            return [collection.name, collection.id];
        }
        setIfFieldExists(name, value) {
            const field = this.collection().fields.find((field) => field.takes(name)) ?? null;
            if (field !== null) this.set(name, value);
            return field;
        }
        getRaw(name) {
            return this.get(name);
        }
        getUnsavedFiles(name) {
            return native.unsavedFiles.call(this, String(name).replace(/:unsaved$/, ""));
        }
        getUploadedFiles(name) {
            return this.getUnsavedFiles(name);
        }
        unmarshalJSONField(name, target) {
            host.fill(target, JSON.parse(this.getString(name) || "null"));
        }
        fieldsData() {
            const data = {};
            for (const field of this.collection().fields) data[field.name] = this.get(field.name);
            return data;
        }
        dbExport() {
            return this.fieldsData();
        }
        ignoreUnchangedFields() {
            return this;
        }
        publicExport() {
            return this.toJSON();
        }
        marshalJSON() {
            return JSON.stringify(this);
        }
        unmarshalJSON(text) {
            this.load(JSON.parse(String(text)));
        }
        replaceModifiers(data) {
            const copy = this.fresh();
            const result = { ...data };
            // Keys with modifiers come after the plain ones.
            const keys = Object.keys(data).sort((a, b) => a.length - b.length);
            for (const key of keys) {
                const name = key.replace(/^\+|[+-]$|:autogenerate$/g, "");
                if (name === key || !copy.setIfFieldExists(key, data[key])) {
                    copy.setIfFieldExists(key, data[key]);
                    continue;
                }
                delete result[key];
                result[name] = copy.get(name);
            }
            return result;
        }
        findFileFieldByFile(name) {
            const holds = (field) => field.type() === "file" && this.getStringSlice(field.name).includes(name);
            return this.collection().fields.find(holds) ?? null;
        }

        // Relations.
        expand() {
            return { ...(native.expandMap.call(this) ?? {}) };
        }
        setExpand(expand) {
            native.setExpandMap.call(this, { ...expand });
        }
        mergeExpand(expand) {
            const merged = this.expand();
            for (const key of Object.keys(expand ?? {})) merged[key] = mergedRelation(merged[key], expand[key]);
            native.setExpandMap.call(this, merged);
        }
        expandedOne(name) {
            const related = (native.expandMap.call(this) ?? {})[name];
            return (Array.isArray(related) ? related[0] : related) ?? null;
        }
        expandedAll(name) {
            const related = (native.expandMap.call(this) ?? {})[name];
            if (related === undefined || related === null) return [];
            return Array.isArray(related) ? [...related] : [related];
        }

        // Auth records.
        email() {
            return this.getString("email");
        }
        setEmail(email) {
            this.set("email", email);
        }
        verified() {
            return this.getBool("verified");
        }
        setVerified(verified) {
            this.set("verified", verified);
        }
        emailVisibility() {
            return this.getBool("emailVisibility");
        }
        setEmailVisibility(visible) {
            this.set("emailVisibility", visible);
        }
        tokenKey() {
            return this.getString("tokenKey");
        }
        setTokenKey(key) {
            this.set("tokenKey", key);
        }
        setPassword(password) {
            this.set("password", password);
            this.refreshTokenKey();
        }
        setRandomPassword() {
            const password = native.random(30);
            this.setPassword(password);
            return password;
        }
        isSuperuser() {
            return this.collection().name === "_superusers";
        }
        newStaticAuthToken(seconds) {
            return native.token.call(this, "auth", Number(seconds) / (Number(seconds) >= 1e9 ? 1e9 : 1), { refreshable: false });
        }
        newAuthToken() {
            return native.token.call(this, "auth", 0, { refreshable: true });
        }
        newVerificationToken() {
            return native.token.call(this, "verification", 0, { email: this.email() });
        }
        newPasswordResetToken() {
            return native.token.call(this, "passwordReset", 0, { email: this.email() });
        }
        newEmailChangeToken(newEmail) {
            return native.token.call(this, "emailChange", 0, { email: this.email(), newEmail });
        }
        newFileToken() {
            return native.token.call(this, "file", 0, {});
        }
    }

    const mergedRelation = (old, given) => {
        if (old === undefined || old === null) return given;
        if (given === undefined || given === null) return old;
        const all = Array.isArray(old) ? [...old] : [old];
        for (const record of Array.isArray(given) ? given : [given]) {
            const known = all.find((other) => other.id === record.id);
            if (known) known.mergeExpand(record.expand());
            else all.push(record);
        }
        return Array.isArray(old) || Array.isArray(given) || all.length !== 1 ? all : all[0];
    };

    for (const name of [
        "get", "set", "setRaw", "getString", "getInt", "getFloat", "getBool", "getDateTime", "getStringSlice", "getGeoPoint", "load", "isNew",
        "markAsNew", "markAsNotNew", "original", "fresh", "clone", "collection", "toJSON", "customData", "withCustomData", "hide", "unhide",
        "ignoreEmailVisibility", "refreshTokenKey", "validatePassword",
    ]) {
        Object.defineProperty(Record.prototype, name, { value: native[name], writable: true, configurable: true });
    }

    host.recordPrototype = Record.prototype;
    api.Record = Record;

    // Models that queries fill in place.
    host.isModel = (value) => value instanceof Record || (host.isCollection !== undefined && host.isCollection(value));
    host.blankLike = (value) => (value instanceof Record ? new Record(value.collection()) : new api.Collection());
    host.assignTo = (target, data) => {
        if (target instanceof Record) {
            if (data instanceof Record) native.assign(target, data);
            else target.load(data);
        } else {
            Object.assign(target, data);
        }
        return target;
    };

    // A form around a record, which older scripts use.
    class RecordUpsertForm {
        #record;
        #app;
        constructor(app, record) {
            this.#app = app;
            this.#record = record;
        }
        load(data) {
            this.#record.load(data);
        }
        setContext() {}
        setApp(app) {
            this.#app = app;
        }
        setRecord(record) {
            this.#record = record;
        }
        resetAccess() {}
        grantManagerAccess() {}
        grantSuperuserAccess() {}
        hasManageAccess() {
            return true;
        }
        submit() {
            this.#app.save(this.#record);
        }
        drySubmit(callback) {
            this.#app.validate(this.#record);
            if (callback) callback(this.#app, this.#record);
        }
    }
    api.RecordUpsertForm = RecordUpsertForm;
})
