"""A model as one JSON file: readable, hashed, checked when it is loaded. Nothing in it is ever executed."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from sim.common.atomic_files import write_text
from sim.common.errors import InputError
from training.features import FEATURES, UNITS
from training.model import Model, ScoreDensities

SCHEMA = "skadi-ims/1"
_MATRICES = ("lo", "hi", "range_lo", "range_hi")
_VECTORS = ("mean", "scale")


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
        raise InputError(f"{source}: schema: {whole['schema']!r} is not known (known: {SCHEMA}); train again")
    body = whole["model"]
    if not isinstance(body, dict) or whole.get("sha256") != _digest(body):
        raise InputError(f"{source}: sha256: the content does not match its hash: the file is damaged; train again")
    return _checked(body, source)


def _parse(raw: bytes, source: str) -> Any:
    def refuse(token: str) -> None:
        raise InputError(f"{source}: holds {token}; every number of a model is finite; train again")

    try:
        return json.loads(raw.decode("utf-8"), parse_constant=refuse)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{source}: is not JSON ({error}): the file is damaged or no model; train again") from error


def _digest(body: dict[str, Any]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
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
        "densities": densities
        and {
            "edges": densities.edges.tolist(),
            "log_nominal": densities.log_nominal.tolist(),
            "log_faulty": densities.log_faulty.tolist(),
            "faults": densities.faults,
        },
        "card": model.card,
    }


_SINGLE = ("name", "features", "units", "algorithm", "options", "seed", "tau_fast", "tau_persist", "densities", "card")
_KEYS = frozenset((*_SINGLE, *_VECTORS, *_MATRICES, "n"))


def _checked(body: dict[str, Any], source: str) -> Model:
    absent, foreign = sorted(_KEYS - body.keys()), sorted(body.keys() - _KEYS)
    if absent or foreign:
        wrong = [f"{k} is missing" for k in absent] + [f"{k} is not known" for k in foreign]
        raise InputError(f"{source}: {'; '.join(wrong)}; train again")
    arrays = {key: _array(body[key]) for key in (*_VECTORS, *_MATRICES, "n")}
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
    )


def _array(value: Any) -> Any:
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        return np.empty(0)


def _shape_problems(body: dict[str, Any], arrays: dict[str, Any]) -> list[str]:
    d = len(FEATURES)
    problems = []
    if body["features"] != list(FEATURES) or body["units"] != list(UNITS):
        problems.append(f"features: are not this program's {d} ({', '.join(FEATURES)})")
    boxes = len(arrays["lo"]) if arrays["lo"].ndim == 2 else 0  # noqa: PLR2004 - a matrix
    if not boxes:
        problems.append("lo: holds no boxes")
    expected = {**dict.fromkeys(_VECTORS, (d,)), **dict.fromkeys(_MATRICES, (boxes, d)), "n": (boxes,)}
    problems += [
        f"{key}: has shape {arrays[key].shape}, {shape} is right"
        for key, shape in expected.items()
        if arrays[key].shape != shape
    ]
    return problems


def _value_problems(body: dict[str, Any], arrays: dict[str, Any]) -> list[str]:
    problems = [f"{key}: holds a number that is not finite" for key, a in arrays.items() if not np.isfinite(a).all()]
    if (arrays["scale"] <= 0).any():
        problems.append(f"scale: {FEATURES[int(np.argmax(arrays['scale'] <= 0))]} is not above 0")
    for low, high in (("lo", "hi"), ("range_lo", "range_hi")):
        crossed = np.argwhere(arrays[low] > arrays[high])
        if len(crossed):
            box, j = crossed[0]
            problems.append(f"{low} is above {high} in box {box}, {FEATURES[j]}")
    fast, persist = body["tau_fast"], body["tau_persist"]
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (fast, persist))
    if not numbers or not 0 <= fast < persist:
        problems.append(f"tau_fast {fast} has to be at least 0 and under tau_persist {persist}")
    return problems


def _densities(value: Any, source: str) -> ScoreDensities | None:
    if value is None:
        return None
    keys = ("edges", "log_nominal", "log_faulty")
    if not isinstance(value, dict) or not {*keys, "faults"} <= value.keys():
        raise InputError(f"{source}: densities: needs edges, log_nominal, log_faulty and faults; train again")
    edges, nominal, faulty = (_array(value[key]) for key in keys)
    shapes = edges.ndim == 1 and nominal.shape == faulty.shape == (edges.size - 1,) and nominal.size
    if not shapes or not all(np.isfinite(a).all() for a in (edges, nominal, faulty)) or (np.diff(edges) <= 0).any():
        raise InputError(f"{source}: densities: edges have to rise and bound one finite density each; train again")
    return ScoreDensities(edges, nominal, faulty, str(value["faults"]))
