"""The page's files, and what a browser may do with them."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.types import Scope

router = APIRouter()
FOLDER = Path(__file__).parents[1] / "page"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",  # asked for each time, and mostly answered with 304: a new version is seen at once
}
"""Nothing from elsewhere, nothing written into the document runs, and no other page may frame this one."""


class PageFiles(StaticFiles):
    """Scripts and styles; those of others, such as the chart library, from where reports have them too."""

    def __init__(self, folder: Path = FOLDER) -> None:
        super().__init__(directory=folder)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file with the page's headers."""
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response


def page(name: str = "index.html") -> FileResponse:
    """Return the page, or another document of its folder."""
    return FileResponse(FOLDER / name, media_type="text/html", headers=HEADERS)


@router.get("/docs", include_in_schema=False)
async def docs() -> FileResponse:
    """Return the page that lists the routes; like the other it asks nothing of anyone else."""
    return page("docs.html")
