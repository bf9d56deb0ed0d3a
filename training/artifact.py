"""A model as one JSON file: readable, hashed, checked when it is loaded. Nothing in it is ever executed."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from sim.common.atomic_files import write_text
from sim.common.errors import InputError
from sim.common.text import printable, short_repr
from training.context import Context
from training.features import FEATURES, UNITS
from training.model import Model, ScoreDensities

SCHEMA = "skadi-ims/3"
_MATRICES = ("lo", "hi", "range_lo", "range_hi")
_VECTORS = ("mean", "scale")
_CONTEXT = ("whiten", "between", "hourly", "spread")
_LARGEST, _MOST_ROWS = 1e50, 2**53
"""Of a number of a model, and of the inverse of a scale: squares of what they make are finite. Real ones are < 1e6."""


def to_text(model: Model) -> str:
    """Return the artifact's text; the same model gives the same bytes."""
    body = _body(model)
    return json.dumps({"schema": SCHEMA, "sha256": _digest(body), "model": body}, indent=1, allow_nan=False) + "\n"


def save(model: Model, path: Path) -> None:
    """Write the artifact, whole or not at all."""
    write_text(path, to_text(model))


def load(path: Path) -> Model:
    """Read and check an artifact. Raises InputError that says what is wrong with it."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such model; train one with python -m training.train_ims --data ...") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    return from_bytes(raw, str(path))


def from_bytes(raw: bytes, source: str = "model") -> Model:
    """Check and build a model from an artifact's bytes."""
    if raw[:1] == b"\x80" or raw[:2] == b"PK":
        raise InputError(
            f"{source}: is a pickle or an archive; models are JSON and nothing else is loaded; train again"
        )
    whole = _parse(raw, source)
    if not isinstance(whole, dict) or "schema" not in whole or "model" not in whole:
        raise InputError(f"{source}: is JSON, but no model of this program (it has no schema and model); train one")
    if whole["schema"] != SCHEMA:
        raise InputError(f"{source}: schema: {short_repr(whole['schema'])} is not known (known: {SCHEMA}); train again")
    body = whole["model"]
    if not isinstance(body, dict) or whole.get("sha256") != _digest(body):
        raise InputError(f"{source}: sha256: the content does not match its hash: the file is damaged; train again")
    return _checked(body, source)


def _parse(raw: bytes, source: str) -> Any:
    def refuse(token: str) -> None:
        raise InputError(f"{source}: holds {token}; every number of a model is finite; train again")

    try:
        return json.loads(raw.decode("utf-8"), parse_constant=refuse)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of thousands of digits
        raise InputError(f"{source}: is not JSON ({error}): the file is damaged or no model; train again") from error


def _digest(body: dict[str, Any]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _body(model: Model) -> dict[str, Any]:
    densities = model.densities
    return {
        "name": model.name,
        "features": list(FEATURES),
        "units": list(UNITS),
        "algorithm": model.algorithm,
        "options": model.options,
        "seed": model.seed,
        "tau_fast": model.tau_fast,
        "tau_persist": model.tau_persist,
        **{key: getattr(model, key).tolist() for key in (*_VECTORS, *_MATRICES)},
        "n": model.count.tolist(),
        "frozen_after": model.frozen_after.tolist(),
        "context": model.context and {key: getattr(model.context, key).tolist() for key in _CONTEXT},
        "densities": densities
        and {
            "edges": densities.edges.tolist(),
            "log_nominal": densities.log_nominal.tolist(),
            "log_faulty": densities.log_faulty.tolist(),
            "faults": densities.faults,
        },
        "card": model.card,
    }


_SINGLE = (
    "name",
    "features",
    "units",
    "algorithm",
    "options",
    "seed",
    "tau_fast",
    "tau_persist",
    "densities",
    "context",
    "card",
)
_WHOLE = ("n", "frozen_after")
_KEYS = frozenset((*_SINGLE, *_VECTORS, *_MATRICES, *_WHOLE))


def _checked(body: dict[str, Any], source: str) -> Model:
    absent, foreign = sorted(_KEYS - body.keys()), sorted(body.keys() - _KEYS)
    if absent or foreign:
        wrong = [f"{k} is missing" for k in absent] + [f"{printable(k)} is not known" for k in foreign]
        raise InputError(f"{source}: {'; '.join(wrong)}; train again")
    arrays = {key: _array(body[key]) for key in (*_VECTORS, *_MATRICES, *_WHOLE)}
    problems = _shape_problems(body, arrays) or _value_problems(body, arrays)
    if problems:
        raise InputError(f"{source}: {'; '.join(problems)}; train again")
    return Model(
        **{key: body[key] for key in ("name", "algorithm", "options", "seed", "card")},
        **{key: arrays[key] for key in (*_VECTORS, *_MATRICES)},
        tau_fast=float(body["tau_fast"]),
        tau_persist=float(body["tau_persist"]),
        count=arrays["n"].astype(np.int64),
        densities=_densities(body["densities"], source),
        context=_context(body["context"], source),
        frozen_after=arrays["frozen_after"].astype(np.int64),
    )


def _array(value: Any) -> Any:
    """Return the array of nested lists, NaN for what in them is no number."""
    cells = np.array(value, dtype=object)
    numbers = [float(cell) if _is_number(cell) else np.nan for cell in cells.flat]
    return np.array(numbers, dtype=np.float64).reshape(cells.shape)


def _is_number(value: Any) -> bool:
    """Tell whether a JSON value is a number that can be calculated with."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _shape_problems(body: dict[str, Any], arrays: dict[str, Any]) -> list[str]:
    d = len(FEATURES)
    problems = []
    if body["features"] != list(FEATURES) or body["units"] != list(UNITS):
        problems.append(f"features: are not this program's {d} ({', '.join(FEATURES)})")
    clusters = len(arrays["lo"]) if arrays["lo"].ndim == 2 else 0  # noqa: PLR2004 - a matrix
    if not clusters:
        problems.append("lo: holds no clusters")
    expected = {
        **dict.fromkeys((*_VECTORS, "frozen_after"), (d,)),
        **dict.fromkeys(_MATRICES, (clusters, d)),
        "n": (clusters,),
    }
    problems += [
        f"{key}: has shape {arrays[key].shape}, {shape} is right"
        for key, shape in expected.items()
        if arrays[key].shape != shape
    ]
    return problems


def _value_problems(body: dict[str, Any], arrays: dict[str, Any]) -> list[str]:
    unfit = [key for key, a in arrays.items() if not np.isfinite(a).all()]
    problems = [f"{key}: holds a number that is not finite or beyond {_LARGEST:g}" for key in unfit]
    problems += _odd_values(body)
    called = {"n": "rows of a cluster", "frozen_after": "numbers of equal readings"}
    for key, n in ((key, arrays[key]) for key in _WHOLE):
        if (n < 0).any() or (n != np.rint(n)).any() or (n > _MOST_ROWS).any():
            problems.append(f"{key}: {called[key]} are whole numbers from 0")
    if (arrays["scale"] < 1 / _LARGEST).any():
        problems.append(f"scale: {FEATURES[int(np.argmax(arrays['scale'] < 1 / _LARGEST))]} is not above 0")
    for low, high in (("lo", "hi"), ("range_lo", "range_hi")):
        crossed = np.argwhere(arrays[low] > arrays[high])
        if len(crossed):
            cluster, j = crossed[0]
            problems.append(f"{low} is above {high} in cluster {cluster}, {FEATURES[j]}")
    fast, persist = body["tau_fast"], body["tau_persist"]
    if not (_is_number(fast) and _is_number(persist) and 0 <= fast < persist):
        said = f"tau_fast {_plain(fast)} has to be at least 0 and under tau_persist {_plain(persist)}"
        problems.append(said)
    return problems


def _plain(value: Any) -> str:
    return printable(value) if isinstance(value, str) else short_repr(value)


def _odd_values(body: dict[str, Any]) -> list[str]:
    """Name the values that are of another type than those of a model."""
    kinds = {"name": str, "algorithm": str, "options": dict, "card": dict, "seed": int}
    called = {str: "text", dict: "a mapping", int: "a whole number"}
    return [
        f"{key}: {short_repr(body[key])} is not {called[kind]}"
        for key, kind in kinds.items()
        if not isinstance(body[key], kind) or isinstance(body[key], bool)
    ]


def _densities(value: Any, source: str) -> ScoreDensities | None:
    if value is None:
        return None
    keys = ("edges", "log_nominal", "log_faulty")
    if not isinstance(value, dict) or value.keys() != {*keys, "faults"} or not isinstance(value["faults"], str):
        raise InputError(f"{source}: densities: needs edges, log_nominal, log_faulty and the text faults; train again")
    edges, nominal, faulty = (_array(value[key]) for key in keys)
    shapes = edges.ndim == 1 and nominal.shape == faulty.shape == (edges.size - 1,) and nominal.size
    if not shapes or not all(np.isfinite(a).all() for a in (edges, nominal, faulty)) or (np.diff(edges) <= 0).any():
        raise InputError(f"{source}: densities: edges have to rise and bound one finite density each; train again")
    return ScoreDensities(edges, nominal, faulty, value["faults"])


def _context(value: Any, source: str) -> Context | None:
    if value is None:
        return None
    if not isinstance(value, dict) or value.keys() != set(_CONTEXT):
        raise InputError(f"{source}: context: needs {', '.join(_CONTEXT)}; train again")
    d = len(FEATURES)
    shapes = {"whiten": (d, d), "between": (d,), "hourly": (d,), "spread": (d,)}
    arrays = {key: _array(value[key]) for key in _CONTEXT}
    wrong = [
        f"context.{key}: {d} x {d} finite numbers are right" if key == "whiten"
        else f"context.{key}: {d} numbers {'above' if key == 'hourly' else 'not below'} 0 are right"
        for key, a in arrays.items()
        if a.shape != shapes[key] or not np.isfinite(a).all()
        or (key != "whiten" and ((a < 0).any() or (key == "hourly" and (a == 0).any())))
    ]  # fmt: skip
    if not wrong and np.linalg.matrix_rank(arrays["whiten"]) < d:
        wrong.append("context.whiten: cannot be inverted")
    if wrong:
        raise InputError(f"{source}: {'; '.join(wrong)}; train again")
    return Context(**arrays)
