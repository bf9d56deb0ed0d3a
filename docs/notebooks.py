"""Run the notebooks and keep what they show, in place: python -m docs.notebooks [NAME..]."""

import io
import os
import sys
import tempfile
from base64 import b64decode, b64encode
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
LONGEST_CELL_S = 120
COLOURS = 192


def executed(path: Path) -> nbformat.NotebookNode:
    """Return a notebook as it is after all of its cells ran in an empty folder. Raises what a cell raised."""
    notebook = nbformat.read(path, as_version=4)
    # this checkout, whatever is installed; one thread, so that figures are the same everywhere
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=LONGEST_CELL_S, resources={"metadata": {"path": folder}})
        return client.execute(env=environment)


def thinned(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return a notebook with small pictures and nothing that tells when and where it ran."""
    notebook.metadata = {k: notebook.metadata[k] for k in ("kernelspec", "language_info")}
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata = {}
        for data in (output.data for output in cell.get("outputs", []) if "data" in output):
            if "image/png" in data:
                data["image/png"] = _small(data["image/png"])
                data["text/plain"] = "A figure"
    return notebook


def _small(png: str) -> str:
    made = io.BytesIO()
    with Image.open(io.BytesIO(b64decode(png))) as picture:
        few = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        few.save(made, format="png", optimize=True)
    return b64encode(made.getvalue()).decode()


def main() -> None:
    """Run those named, or all."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        if path.stem in sys.argv[1:] or not sys.argv[1:]:
            nbformat.write(thinned(executed(path)), path)
            print(path.relative_to(ROOT))  # noqa: T201


if __name__ == "__main__":
    main()
