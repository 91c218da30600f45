// Dates as PocketBase has them: UTC, milliseconds, immutable; and the zones of the system.
(function (host, api) {
    "use strict";

    const native = host.dates;
    const ZERO_MS = -62135596800000;
    const NS_PER_MS = 1e6;
    const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
    const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    const pad = (number, width) => String(number).padStart(width, "0");

    // A length of time in nanoseconds.
    class Duration {
        #ns;
        constructor(ns) {
            this.#ns = ns;
        }
        nanoseconds() {
            return this.#ns;
        }
        microseconds() {
            return Math.trunc(this.#ns / 1e3);
        }
        milliseconds() {
            return Math.trunc(this.#ns / 1e6);
        }
        seconds() {
            return this.#ns / 1e9;
        }
        minutes() {
            return this.#ns / 6e10;
        }
        hours() {
            return this.#ns / 3.6e12;
        }
        abs() {
            return new Duration(Math.abs(this.#ns));
        }
        valueOf() {
            return this.#ns;
        }
        toJSON() {
            return this.#ns;
        }
        string() {
            if (this.#ns === 0) return "0s";
            const sign = this.#ns < 0 ? "-" : "";
            const ns = Math.abs(this.#ns);
            if (ns < 1e3) return `${sign}${ns}ns`;
            if (ns < 1e6) return `${sign}${ns / 1e3}µs`;
            if (ns < 1e9) return `${sign}${ns / 1e6}ms`;
            const hours = Math.floor(ns / 3.6e12);
            const minutes = Math.floor((ns % 3.6e12) / 6e10);
            const seconds = Number(((ns % 6e10) / 1e9).toFixed(9));
            return sign + (hours ? `${hours}h` : "") + (hours || minutes ? `${minutes}m` : "") + `${seconds}s`;
        }
        toString() {
            return this.string();
        }
    }
    host.makeDuration = (ns) => new Duration(ns);

    class Timezone {
        #name;
        constructor(name) {
            const text = name === undefined || name === null || name === "" ? "UTC" : String(name);
            this.#name = native.zone(text) ? text : "UTC";
        }
        string() {
            return this.#name;
        }
        toString() {
            return this.#name;
        }
    }
    api.Timezone = Timezone;

    // The parts of a moment in a zone.
    class Time {
        #ms;
        #zone;
        #offset;
        #local;
        constructor(ms, zone) {
            this.#ms = ms;
            this.#zone = zone || "UTC";
            this.#offset = this.#zone === "UTC" ? 0 : native.offset(this.#zone, ms);
            this.#local = new Date(ms + this.#offset * 1000);
        }
        year() {
            return this.#local.getUTCFullYear();
        }
        month() {
            return this.#local.getUTCMonth() + 1;
        }
        day() {
            return this.#local.getUTCDate();
        }
        hour() {
            return this.#local.getUTCHours();
        }
        minute() {
            return this.#local.getUTCMinutes();
        }
        second() {
            return this.#local.getUTCSeconds();
        }
        nanosecond() {
            return this.#local.getUTCMilliseconds() * NS_PER_MS;
        }
        weekday() {
            return this.#local.getUTCDay();
        }
        yearDay() {
            return Math.floor((this.#local.getTime() - Date.UTC(this.year(), 0, 1)) / 86400000) + 1;
        }
        date() {
            return [this.year(), this.month(), this.day()];
        }
        clock() {
            return [this.hour(), this.minute(), this.second()];
        }
        unix() {
            return Math.floor(this.#ms / 1000);
        }
        unixMilli() {
            return this.#ms;
        }
        unixMicro() {
            return this.#ms * 1e3;
        }
        unixNano() {
            return this.#ms * NS_PER_MS;
        }
        isZero() {
            return this.#ms === ZERO_MS;
        }
        add(duration) {
            return new Time(this.#ms + Math.trunc(Number(duration) / NS_PER_MS), this.#zone);
        }
        addDate(years, months, days) {
            return new Time(shifted(this.#ms, years, months, days), this.#zone);
        }
        sub(other) {
            return new Duration((this.#ms - other.unixMilli()) * NS_PER_MS);
        }
        before(other) {
            return this.#ms < other.unixMilli();
        }
        after(other) {
            return this.#ms > other.unixMilli();
        }
        equal(other) {
            return this.#ms === other.unixMilli();
        }
        compare(other) {
            return Math.sign(this.#ms - other.unixMilli());
        }
        truncate(duration) {
            const unit = Number(duration) / NS_PER_MS;
            if (!(unit > 0)) return this;
            return new Time(ZERO_MS + Math.floor((this.#ms - ZERO_MS) / unit) * unit, this.#zone);
        }
        in(zone) {
            return new Time(this.#ms, zone.string());
        }
        utc() {
            return new Time(this.#ms, "UTC");
        }
        local() {
            return this.utc();
        }
        location() {
            return new Timezone(this.#zone);
        }
        format(layout) {
            return formatted(this, this.#offset, this.#zone, String(layout));
        }
        string() {
            return this.format("2006-01-02 15:04:05.999 -0700 MST");
        }
        toString() {
            return this.string();
        }
        valueOf() {
            return this.#ms;
        }
        toJSON() {
            return this.format("2006-01-02T15:04:05.999Z07:00");
        }
    }

    // The parts of Go's layouts, longest first.
    const LAYOUT = /January|Jan|Monday|Mon|MST|2006|Z07:00|Z0700|-07:00|-0700|-07|[.,]0+|[.,]9+|002|__2|15|01|02|03|04|05|06|_2|PM|pm|1|2|3|4|5/g;

    const formatted = (time, offset, zone, layout) =>
        layout.replace(LAYOUT, (part) => {
            const sign = offset < 0 ? "-" : "+";
            const hours = pad(Math.floor(Math.abs(offset) / 3600), 2);
            const minutes = pad(Math.floor((Math.abs(offset) % 3600) / 60), 2);
            const hour12 = time.hour() % 12 || 12;
            switch (part) {
                case "2006": return pad(time.year(), 4);
                case "06": return pad(time.year() % 100, 2);
                case "January": return MONTHS[time.month() - 1];
                case "Jan": return MONTHS[time.month() - 1].slice(0, 3);
                case "01": return pad(time.month(), 2);
                case "1": return String(time.month());
                case "Monday": return DAYS[time.weekday()];
                case "Mon": return DAYS[time.weekday()].slice(0, 3);
                case "02": return pad(time.day(), 2);
                case "_2": return String(time.day()).padStart(2, " ");
                case "2": return String(time.day());
                case "002": return pad(time.yearDay(), 3);
                case "__2": return String(time.yearDay()).padStart(3, " ");
                case "15": return pad(time.hour(), 2);
                case "03": return pad(hour12, 2);
                case "3": return String(hour12);
                case "04": return pad(time.minute(), 2);
                case "4": return String(time.minute());
                case "05": return pad(time.second(), 2);
                case "5": return String(time.second());
                case "PM": return time.hour() < 12 ? "AM" : "PM";
                case "pm": return time.hour() < 12 ? "am" : "pm";
                case "MST": return offset === 0 ? "UTC" : sign + hours + (minutes === "00" ? "" : minutes);
                case "Z07:00": return offset === 0 ? "Z" : `${sign}${hours}:${minutes}`;
                case "Z0700": return offset === 0 ? "Z" : sign + hours + minutes;
                case "-07:00": return `${sign}${hours}:${minutes}`;
                case "-0700": return sign + hours + minutes;
                case "-07": return sign + hours;
            }
            const digits = pad(time.nanosecond(), 9).slice(0, part.length - 1);
            if (part[1] === "0") return part[0] + digits;
            const kept = digits.replace(/0+$/, "");
            return kept === "" ? "" : part[0] + kept;
        });

    // Years, months and days later by the calendar; days beyond a month's end go into the next one.
    const shifted = (ms, years, months, days) => {
        const date = new Date(ms);
        return Date.UTC(
            date.getUTCFullYear() + Number(years || 0), date.getUTCMonth() + Number(months || 0), date.getUTCDate() + Number(days || 0),
            date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds(), date.getUTCMilliseconds(),
        );
    };

    class DateTime {
        #ms;
        constructor(text, zone) {
            if (typeof text === "string" && text !== "") {
                this.#ms = native.parse(text, typeof zone === "string" && zone !== "" ? zone : null) ?? ZERO_MS;
            } else if (typeof text === "number") {
                this.#ms = text;
            } else if (text !== null && typeof text === "object" && typeof text.unixMilli === "function") {
                this.#ms = text.unixMilli();
            } else {
                this.#ms = Date.now();
            }
        }
        time() {
            return new Time(this.#ms);
        }
        string() {
            return this.isZero() ? "" : new Date(this.#ms).toISOString().replace("T", " ");
        }
        toString() {
            return this.string();
        }
        toJSON() {
            return this.string();
        }
        valueOf() {
            return this.#ms;
        }
        [Symbol.toPrimitive](hint) {
            return hint === "number" ? this.#ms : this.string();
        }
        marshalJSON() {
            return JSON.stringify(this.string());
        }
        isZero() {
            return this.#ms === ZERO_MS;
        }
        unix() {
            return Math.floor(this.#ms / 1000);
        }
        unixMilli() {
            return this.#ms;
        }
        add(duration) {
            return new DateTime(this.#ms + Math.trunc(Number(duration) / NS_PER_MS));
        }
        addDate(years, months, days) {
            return new DateTime(shifted(this.#ms, years, months, days));
        }
        sub(other) {
            return new Duration((this.#ms - other.unixMilli()) * NS_PER_MS);
        }
        before(other) {
            return this.#ms < other.unixMilli();
        }
        after(other) {
            return this.#ms > other.unixMilli();
        }
        equal(other) {
            return this.#ms === other.unixMilli();
        }
        compare(other) {
            return Math.sign(this.#ms - other.unixMilli());
        }
    }
    api.DateTime = DateTime;
    host.makeDate = (ms) => new DateTime(ms);
})
