"""What routes say of themselves in OpenAPI: an example of the answer, and the problems that they can answer with."""

from typing import Any

from fastapi import FastAPI

from api.problems import MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]

_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "where, which value, and what would be right"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"place": {"type": "string"}, "value": {"type": "string"}, "why": {"type": "string"}},
            },
        },
        "more_errors": {"type": "integer", "description": "errors beyond those that are told"},
    },
}


_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_ALWAYS = {
    400: "the Host header is not one of this server's names",
    401: "the token is missing or wrong",
    403: "the server listens to others and has no token",
    422: "a parameter cannot be used",
}
_ANYWHERE = {"4XX": "what was asked cannot be done", "503": "the store is not available; try again"}


def answers(example: Any = None, media_type: str = "application/json", **problems: str) -> Responses:
    """Return the responses of a route. problems: what a status means here, as `s409="one runs already"`."""
    content: dict[str, Any] = {} if example is None else {"example": example}
    told = _ALWAYS | {int(status[1:]): text for status, text in problems.items()}
    return {
        200: {"description": "the answer", "content": {media_type: content}},
        **{status: {"description": text, "content": _CONTENT} for status, text in told.items()},
    }


def install(app: FastAPI) -> None:
    """Let an app describe that any route may answer with a problem document."""
    describe = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = describe()
            document["components"].setdefault("schemas", {})["Problem"] = _PROBLEM
            for operations in document["paths"].values():
                for operation in operations.values():
                    _add_problems(operation["responses"])
        assert app.openapi_schema is not None  # noqa: S101 - describe() has just made it
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def _add_problems(responses: dict[str, Any]) -> None:
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    for status, text in _ANYWHERE.items():
        responses.setdefault(status, {"description": text, "content": _CONTENT})
