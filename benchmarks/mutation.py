"""Mutants: small wrongs put into the code one at a time, each of which a test of meaning must notice.

python -m benchmarks.mutation [NAME ..] [--table TABLE] [--list]. The tables are benchmarks/mutants/*.toml.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLES = Path(__file__).with_name("mutants")
MOST_S = 500
"""A mutant under which the tests do not end by then is noticed too."""

RECORDED = ("--ignore=tests/golden", "-k", "not what_they_were and not what_it_was")
"""What leaves out tests against what was recorded: they notice any change, and say of none what is right."""

PYTEST = ("-m", "pytest", "-x", "-q", "--tb=no", "-p", "no:cacheprovider", "--hypothesis-seed=0", *RECORDED)
PASSED, FAILED = 0, 1


@dataclass(frozen=True, slots=True)
class Mutant:
    """One wrong: `text`, which stands once in the file or folder `where`, `becomes` another.

    means: what would be wrong with the data. tests: files or folders that should notice, in the order in which they
    run. survives: why none does, where that is known.
    """

    name: str
    where: str
    text: str
    becomes: str
    means: str
    tests: tuple[str, ...]
    survives: str = ""
    table: str = ""


def load(tables: Path = TABLES) -> list[Mutant]:
    """Return the mutants of all tables."""
    return [
        Mutant(**{**row, "tests": tuple(row["tests"]), "table": path.stem})
        for path in sorted(tables.glob("*.toml"))
        for row in tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]
    ]


def sites(tree: Path, mutant: Mutant) -> list[Path]:
    """Return the files that hold a mutant's text, each as often as it stands there."""
    place = tree / mutant.where
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place] if place.exists() else []
    return [file for file in files for _ in range(file.read_text(encoding="utf-8").count(mutant.text))]


def problems(tree: Path, mutants: Sequence[Mutant]) -> Iterator[str]:
    """Yield what is wrong with the tables: texts that do not stand exactly once, names given twice, tests not there."""
    names = [mutant.name for mutant in mutants]
    for mutant in mutants:
        told = f"{mutant.table}: {mutant.name}"
        if names.count(mutant.name) > 1:
            yield f"{told}: the name is given more than once"
        count = len(sites(tree, mutant))
        if count != 1:
            yield f"{told}: {mutant.text!r} stands {count} times in {mutant.where}, not once"
        yield from (f"{told}: no {test}" for test in mutant.tests if not (tree / test).exists())


def copied(folder: Path) -> Path:
    """Copy what git knows or would take of the working tree into a folder."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - our own
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


def failure(tree: Path, tests: Sequence[str], most_s: float | None = None) -> str | None:
    """Return which of some tests fails first in a tree, None if all pass. Raises RuntimeError where none could run."""
    # compiled files are told from their source by time and length, which a mutant may share with the code
    env = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, *PYTEST, *tests],
            cwd=tree,
            env=env,
            capture_output=True,
            text=True,
            timeout=most_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no end within {most_s} s"
    if done.returncode == PASSED:
        return None
    told = [line.split(" - ")[0] for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    if done.returncode != FAILED or not told:
        raise RuntimeError(f"pytest ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return told[0].split(" ", 1)[1]


def noticed(tree: Path, mutant: Mutant) -> str | None:
    """Return which test notices a mutant, None if it survives; the tree is left as it was."""
    [file] = sites(tree, mutant)
    source = file.read_text(encoding="utf-8")
    changed = source.replace(mutant.text, mutant.becomes)
    compile(changed, file, "exec")
    try:
        file.write_text(changed, encoding="utf-8")
        return failure(tree, mutant.tests, MOST_S)
    finally:
        file.write_text(source, encoding="utf-8")


def run(mutants: Sequence[Mutant]) -> list[Mutant]:
    """Run mutants, print what notices each, and return survivors. Raises RuntimeError if a test fails without any."""
    survivors = []
    with tempfile.TemporaryDirectory() as folder:
        tree = copied(Path(folder))
        needed = sorted({test for mutant in mutants for test in mutant.tests})
        if before := failure(tree, needed):
            raise RuntimeError(f"{before} fails without any mutant")
        for mutant in mutants:
            began = time.perf_counter()
            by = noticed(tree, mutant)
            took_s = time.perf_counter() - began
            told = f"killed by {by}" if by else f"SURVIVED: {mutant.means}"
            print(f"{mutant.name:<40} {told} ({took_s:.0f} s)", flush=True)
            if not by:
                survivors.append(mutant)
    return survivors


def main() -> int:
    """Run the mutants that are asked for; 1 if a table is stale or a mutant survives that should not."""
    parser = argparse.ArgumentParser(description="Which test notices each small wrong put into the code.")
    parser.add_argument("names", nargs="*", help="mutants to run; all but those known to survive unless given")
    parser.add_argument("--table", help="only those of one table, such as physics")
    parser.add_argument("--list", action="store_true", help="tell the mutants and run none")
    asked = parser.parse_args()
    every = load()
    if stale := list(problems(ROOT, every)):
        print("\n".join(stale), file=sys.stderr)
        return 1
    if unknown := set(asked.names) - {m.name for m in every}:
        parser.error(f"no mutant is named {', '.join(sorted(unknown))}; --list tells all")
    of_table = [m for m in every if asked.table in (None, m.table)]
    chosen = [m for m in of_table if (m.name in asked.names if asked.names else not m.survives)]
    if asked.list:
        print("\n".join(f"{m.table:<10} {m.name:<40} {m.means}" for m in of_table))
        return 0
    survivors = run(chosen)
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} killed")
    if not asked.names:
        print("\n".join(f"not run, known to survive: {m.name}: {m.survives}" for m in of_table if m.survives))
    return int(any(not m.survives for m in survivors))


if __name__ == "__main__":
    sys.exit(main())
