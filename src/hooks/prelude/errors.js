// Errors that become answers.
(function (host, api) {
    "use strict";

    // What data shows of itself: validation errors and, nested, objects of them; the rest only that it is invalid.
    const SHOWN_MAX = 10000;
    const publicData = (data, left = { values: SHOWN_MAX }) => {
        if (data === null || typeof data !== "object" || Array.isArray(data) || ArrayBuffer.isView(data)) return {};
        if (data instanceof ApiError || data instanceof ValidationError) return {};
        if (data instanceof Error || data.isHostError === true) return data.data && typeof data.data === "object" ? data.data : {};
        const shown = {};
        for (const key of Object.keys(data)) {
            // Few objects can be many members, when they hold each other more than once.
            if (left.values-- === 0) throw new RangeError("the data of the error is too large");
            shown[key] = publicItem(data[key], left);
        }
        return shown;
    };
    const publicItem = (item, left) => {
        if (item instanceof ValidationError) {
            const shown = { code: item.code(), message: host.response.sentence(item.message()) };
            if (Object.keys(item.params()).length > 0) shown.params = item.params();
            return shown;
        }
        const own = item !== null && typeof item === "object";
        if (own && typeof item.code === "string" && typeof item.message === "string" && !(item instanceof Error)) {
            return { code: item.code, message: host.response.sentence(item.message) };
        }
        if (own && !Array.isArray(item) && !(item instanceof Error)) return publicData(item, left);
        return { code: "validation_invalid_value", message: "Invalid value." };
    };

    const RAW = Symbol("raw");

    class ApiError extends Error {
        constructor(status, message, data) {
            super(host.response.sentence(message || host.response.statusText(status)));
            this.status = Number(status) || 0;
            this.data = publicData(data);
            Object.defineProperty(this, RAW, { value: data === undefined ? null : data });
        }
        get name() {
            return "GoError";
        }
        get isApiError() {
            return true;
        }
        /** The error itself, as the errors have it that the host throws. */
        get value() {
            return this;
        }
        rawData() {
            return this[RAW];
        }
        error() {
            return this.message;
        }
        is(other) {
            return this === other;
        }
        toString() {
            return this.message;
        }
        toJSON() {
            return { data: this.data, message: this.message, status: this.status };
        }
    }

    class ValidationError extends Error {
        #code;
        #message;
        #params = {};
        constructor(code, message) {
            super(message === undefined ? "" : String(message));
            this.#code = code === undefined ? "" : String(code);
            this.#message = message === undefined ? "" : String(message);
            // `message` is a method here.
            Object.defineProperty(this, "message", { value: () => this.#message });
        }
        get isValidationError() {
            return true;
        }
        code() {
            return this.#code;
        }
        setCode(code) {
            this.#code = String(code);
            return this;
        }
        setMessage(message) {
            this.#message = String(message);
            return this;
        }
        params() {
            return this.#params;
        }
        setParams(params) {
            this.#params = params || {};
            return this;
        }
        addParam(name, value) {
            this.#params[name] = value;
            return this;
        }
        error() {
            return this.#message;
        }
        toString() {
            return this.#message;
        }
        toJSON() {
            return {};
        }
    }

    const named = (name, base) => {
        Object.defineProperty(base, "name", { value: name });
        api[name] = base;
        return base;
    };
    const of = (name, status, fallback) =>
        named(name, class extends ApiError {
            constructor(message, data) {
                super(status, message || fallback, data);
            }
        });

    const GENERIC = "Something went wrong while processing your request.";
    named("ApiError", ApiError);
    named("ValidationError", ValidationError);
    of("BadRequestError", 400, GENERIC);
    of("UnauthorizedError", 401, "Missing or invalid authentication.");
    of("ForbiddenError", 403, "You are not allowed to perform this request.");
    of("NotFoundError", 404, "The requested resource wasn't found.");
    of("TooManyRequestsError", 429, "Too Many Requests.");
    of("InternalServerError", 500, GENERIC);

    // Errors of the host: their data is public as it is.
    host.makeError = (status, message, data) => {
        const error = new ApiError(status, message);
        error.data = data || {};
        return error;
    };

    // A handler that returns one of these has failed.
    for (const kind of [ApiError, ValidationError]) Object.defineProperty(kind.prototype, "isHostError", { value: true });
})
