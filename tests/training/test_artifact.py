import hashlib
import json
import pickle

import numpy as np
import pytest

from sim.common.errors import InputError
from training import fit, load, score_batch
from training.artifact import from_bytes, to_text


def rehashed(model, change):
    """An artifact with a changed body and a hash that fits it."""
    whole = json.loads(to_text(model))
    change(whole["model"])
    canonical = json.dumps(whole["model"], sort_keys=True, separators=(",", ":"))
    whole["sha256"] = hashlib.sha256(canonical.encode()).hexdigest()
    return json.dumps(whole).encode()


def set_(key, value):
    return lambda body: body.__setitem__(key, value)


def cross(body):
    body["lo"][2][0] = body["hi"][2][0] + 1.0


def shorten(body):
    for key in ("lo", "hi"):
        body[key] = [row[:-1] for row in body[key]]


def test_a_model_read_back_scores_the_same_bits(model, model_json, hall):
    x = hall.telemetry().x
    assert np.array_equal(score_batch(load(model_json), x).deviation, score_batch(model, x).deviation)


def test_the_text_of_a_model_read_back_is_the_same(model, model_json):
    assert to_text(load(model_json)) == to_text(model) == model_json.read_text()


@pytest.mark.parametrize("algorithm", ["kmeans", "hyperbox"])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(hall, algorithm):
    first, again, other = (to_text(fit(hall.telemetry(), algorithm=algorithm, seed=s)) for s in (7, 7, 8))
    assert first == again
    assert first != other


def test_every_flipped_byte_is_refused(model):
    raw = to_text(model).encode()
    for at in np.random.default_rng(0).integers(0, len(raw) - 1, 60):
        broken = bytearray(raw)
        broken[at] ^= 0x01
        try:
            loaded = from_bytes(bytes(broken))
        except InputError:
            continue
        assert to_text(loaded) == to_text(model), "a change the hash does not cover may only be white space"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cross, r"lo is above hi in cluster 2, inlet_c"),
        (shorten, r"lo: has shape \(8, 9\), \(8, 10\) is right"),
        (set_("scale", [0.0] + [1.0] * 9), r"scale: inlet_c is not above 0"),
        (set_("tau_fast", 99.0), r"tau_fast 99.0 has to be at least 0 and under tau_persist"),
        (set_("tau_fast", "low"), r"tau_fast low has to be"),
        (set_("mean", [None] * 10), r"mean: holds a number that is not finite"),
        (set_("features", ["inlet_c"]), r"features: are not this program's 10"),
        (set_("lo", []), r"lo: holds no clusters"),
        (set_("owner", "me"), r"owner is not known"),
        (lambda body: body.pop("card"), r"card is missing"),
        (set_("densities", {"edges": [0]}), r"densities: needs edges"),
        (set_("n", [1.5] * 8), r"n: rows of a cluster are whole numbers"),
        (set_("n", [-1] * 8), r"n: rows of a cluster are whole numbers"),
        (set_("mean", [1e300] * 10), r"mean: holds a number that is not finite or beyond 1e\+50"),
        (set_("mean", ["1.5"] * 10), r"mean: holds a number that is not finite"),
        (set_("scale", [1e-300] * 10), r"scale: inlet_c is not above 0"),
        (set_("tau_persist", 10**400), r"tau_fast .* has to be"),
        (set_("seed", "7"), r"seed: '7' is not a whole number"),
        (set_("options", []), r"options: \[\] is not a mapping"),
        (lambda body: body["densities"].__setitem__("faults", 3), r"the text faults"),
        (lambda body: body["densities"].__setitem__("more", 3), r"densities: needs"),
    ],
)
def test_a_model_that_cannot_be_right_is_refused_by_name(model, change, message):
    with pytest.raises(InputError, match=message):
        from_bytes(rehashed(model, change))


@pytest.mark.parametrize("number", ["1e999", "1" * 5000])
def test_a_number_that_python_cannot_hold_is_refused(model, number):
    with pytest.raises(InputError, match="train again"):
        from_bytes(to_text(model).replace(f'"seed": {model.seed}', f'"seed": {number}').encode())


def test_nan_in_a_model_is_refused(model):
    raw = to_text(model).replace(f'"tau_fast": {model.tau_fast}', '"tau_fast": NaN').encode()
    with pytest.raises(InputError, match="holds NaN; every number of a model is finite"):
        from_bytes(raw)


def test_a_changed_number_does_not_match_the_hash(model):
    raw = to_text(model).replace(f'"seed": {model.seed}', '"seed": 43').encode()
    with pytest.raises(InputError, match="does not match its hash"):
        from_bytes(raw)


def test_an_unknown_schema_is_refused_by_name(model):
    with pytest.raises(InputError, match=r"schema: 'skadi-ims/9' is not known \(known: skadi-ims/3\)"):
        from_bytes(to_text(model).replace("skadi-ims/3", "skadi-ims/9").encode())


class Harmful:
    def __reduce__(self):
        return pytest.fail, ("a pickle was executed",)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_is_refused_and_never_executed(protocol):
    with pytest.raises(InputError, match=r"pickle|is not JSON"):
        from_bytes(pickle.dumps(Harmful(), protocol))


@pytest.mark.parametrize("raw", [b"", b"{}", b"[1]", b"hello", b"\xff\xfe", b'{"schema": "skadi-ims/3", "model": 3}'])
def test_a_foreign_file_is_refused(raw):
    with pytest.raises(InputError, match="train"):
        from_bytes(raw)


def test_a_missing_model_is_an_error_that_says_how_to_make_one(tmp_path):
    with pytest.raises(InputError, match=r"no such model; train one with python -m training\.train_ims"):
        load(tmp_path / "none.json")
