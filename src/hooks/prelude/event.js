// The object `e` of handlers.
(function (host, api) {
    "use strict";

    const native = host.event;

    class Event {
        next() {
            return native.next.call(this);
        }
    }

    for (const name of ["record", "records", "result"]) {
        Object.defineProperty(Event.prototype, name, {
            configurable: true,
            get() {
                return native.get.call(this, name);
            },
            set(value) {
                native.set.call(this, name, value);
            },
        });
    }

    host.eventPrototype = Event.prototype;
})
