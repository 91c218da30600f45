// Errors and the answers they become.

routerAdd("GET", "/jsvm/errors/{kind}", (e) => {
  switch (e.request.pathValue("kind")) {
    case "bad-request": throw new BadRequestError()
    case "bad-request-text": throw new BadRequestError("the text", null)
    case "forbidden": throw new ForbiddenError()
    case "forbidden-text": throw new ForbiddenError("not you.")
    case "not-found": throw new NotFoundError()
    case "not-found-text": throw new NotFoundError("no such thing!")
    case "unauthorized": throw new UnauthorizedError()
    case "too-many": throw new TooManyRequestsError()
    case "internal": throw new InternalServerError()
    case "api": throw new ApiError(418, "short and stout", { spout: new ValidationError("spout_missing", "there is no spout") })
    case "api-status": throw new ApiError(409)
    case "plain": throw new Error("secret detail")
    case "text": throw "just a text"
    case "object": throw { status: 403, message: "an object" }
    case "type": return undefined.length
    case "reference": return noSuchName
    case "returned": return new ForbiddenError("returned, not thrown")
    case "method": throw e.notFoundError("by the event", { id: new ValidationError("gone", "is gone") })
    case "event-error": throw e.error(410, "gone for good", null)
    case "event-forbidden": return e.forbiddenError("", {})
    case "no-rows": return e.json(200, $app.findRecordById("notes", "missing00000000"))
    case "plain-data": throw new BadRequestError("plain data", { a: "text", b: 5, c: null })
    case "rethrown":
      try {
        $app.findRecordById("notes", "missing00000000")
      } catch (error) {
        throw new BadRequestError("failed to load: " + error.message, error)
      }
  }
  return e.json(200, { kind: "none" })
})

routerAdd("GET", "/jsvm/error-objects", (e) => {
  const error = new ApiError(400, "first word", { field: new ValidationError("code", "message") })
  const validation = new ValidationError("some_code", "some message")
  return e.json(200, {
    status: error.status,
    message: error.message,
    data: error.data,
    text: String(error),
    json: JSON.parse(JSON.stringify(error)),
    isApiError: error instanceof ApiError,
    isKind: new NotFoundError() instanceof NotFoundError,
    code: validation.code(),
    validationMessage: validation.message(),
    validationText: validation.error(),
  })
})
