"""What routes say of themselves in OpenAPI: an example of the answer, and every problem they can answer with."""

from typing import Any

from api.problems import MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "where, which value, and what would be right"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}
_ALWAYS = {
    400: "the Host header is not one of this server's names",
    401: "the token is missing or wrong",
    403: "the server listens to others and has no token",
    422: "a parameter cannot be used",
    503: "the store is not available; try again",
}


def answers(example: Any = None, media_type: str = "application/json", **problems: str) -> Responses:
    """Return the responses of a route. problems: what a status means here, as `s409="one runs already"`."""
    content: dict[str, Any] = {} if example is None else {"example": example}
    told = _ALWAYS | {int(status[1:]): text for status, text in problems.items()}
    return {
        200: {"description": "the answer", "content": {media_type: content}},
        **{
            status: {"description": text, "content": {MEDIA_TYPE: {"schema": _PROBLEM}}}
            for status, text in told.items()
        },
    }
