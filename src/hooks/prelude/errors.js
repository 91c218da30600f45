// Errors that become answers.
(function (host, api) {
    "use strict";

    class ApiError extends Error {
        constructor(status, message, data) {
            super(message || "");
            this.status = status || 500;
            this.data = data || {};
        }
        get name() {
            return this.constructor.name;
        }
        get isApiError() {
            return true;
        }
    }

    const of = (status, fallback) => class extends ApiError {
        constructor(message, data) {
            super(status, message || fallback, data);
        }
    };

    const named = (name, base) => {
        Object.defineProperty(base, "name", { value: name });
        api[name] = base;
    };

    named("ApiError", ApiError);
    named("BadRequestError", of(400, "Something went wrong while processing your request."));
    named("UnauthorizedError", of(401, "The request requires valid record authorization token."));
    named("ForbiddenError", of(403, "You are not allowed to perform this request."));
    named("NotFoundError", of(404, "The requested resource wasn't found."));
    named("TooManyRequestsError", of(429, "Too Many Requests."));
    named("InternalServerError", of(500, "Something went wrong while processing your request."));

    host.makeError = (status, message, data) => new ApiError(status, message, data);
})
