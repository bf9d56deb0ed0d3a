"""The documentation site, built by Sphinx from these pages as they stand: make docs.

The pages are plain Markdown whose links work on a forge. On the way the site's tree is made of the lists of index.md,
and pages of the notebooks.
"""

import re
import sys
from pathlib import Path

from nbconvert import MarkdownExporter

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))  # autodoc imports what stands here

from sim import __version__

project = "Skadi Sim"
version = release = __version__
project_copyright = "Apache-2.0"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["**/README.md"]
myst_heading_anchors = 3
default_role = "literal"  # docstrings write names between single backticks
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
highlight_language = "none"

html_theme = "pydata_sphinx_theme"
html_title = "Skadi Sim"
html_sidebars = {"**": ["globaltoc.html"]}
html_show_search_summary = False  # scripts may not read other pages from the disk
html_show_sphinx = html_show_sourcelink = html_copy_source = False
html_context = {"default_mode": "auto"}  # the reader's own light or dark
html_theme_options = {
    "navbar_center": [],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

NOTEBOOKS = "notebooks"
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_LISTED = re.compile(r"^- \[[^]]+\]\(([\w./-]+)\.(?:md|ipynb)\)", re.MULTILINE)


def trees(text: str) -> str:
    """Return the trees of pages that the lists of a page stand for, one for each of its sections."""
    _, *parts = _SECTION.split(text)
    made = []
    for title, body in zip(parts[::2], parts[1::2], strict=True):
        pages = [page.removeprefix("../") for page in _LISTED.findall(body)]
        made.append("\n".join(["```{toctree}", ":hidden:", f":caption: {title}", "", *pages, "```"]))
    return "\n\n".join(made)


def on_source_read(_app: object, page: str, source: list[str]) -> None:
    """Point links to notebooks at the pages made of them, and hang the tree on the first page."""
    source[0] = re.sub(rf"\]\((?:\.\./({NOTEBOOKS}/))?(\w+)\.ipynb\)", r"](\1\2.md)", source[0])
    if page.startswith(NOTEBOOKS):
        source[0] = source[0].replace("](../docs/", "](../")
    if page == "index":
        source[0] += "\n" + trees(source[0])


def write_notebooks(_app: object) -> None:
    """Write each notebook, with the outputs it was committed with, as a page beside its pictures."""
    folder = DOCS / NOTEBOOKS
    for page in folder.glob("*.md"):
        if not (ROOT / NOTEBOOKS / f"{page.stem}.ipynb").is_file():
            page.unlink()
    for path in sorted((ROOT / NOTEBOOKS).glob("*.ipynb")):
        text, found = MarkdownExporter().from_filename(str(path), {"output_files_dir": f"{path.stem}_files"})
        for name, content in {f"{path.stem}.md": text.encode(), **found["outputs"]}.items():
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.is_file() or place.read_bytes() != content:
                place.write_bytes(content)


def setup(app: object) -> None:
    """Tell Sphinx what to call."""
    app.connect("builder-inited", write_notebooks)  # type: ignore[attr-defined]
    app.connect("source-read", on_source_read)  # type: ignore[attr-defined]
