// Records.
(function (host, api) {
    "use strict";

    const native = host.record;

    class Record {
        get(name) {
            return native.get.call(this, name);
        }
        set(name, value) {
            native.set.call(this, name, value);
        }
        get id() {
            return native.get.call(this, "id");
        }
        set id(value) {
            native.set.call(this, "id", value);
        }
    }

    host.recordPrototype = Record.prototype;
    api.Record = Record;
})
