"""Other processors, imitated on this one by switches of NumPy and of the C library.

The golden runs under the first that computes otherwise than this one, as CI does it: python -m tests.golden.processors
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.contract.shortened import DIGESTS, ROOT

EVERY_EDGE = Path(__file__).with_name("every_edge.yaml")

# the second pair is what the C library called them before 2.33; it passes over names that it does not know
NO_FUSED_STEPS = "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX2_Usable,-FMA_Usable"

PROBE = """
import hashlib, numpy as np
x = np.linspace(0.01, 5, 9999)
results = np.exp(x), np.expm1(x), np.log(x), np.log1p(x), np.cos(x), x**0.8, x**3.0
print(hashlib.sha256(np.array(results).tobytes()).hexdigest())
"""

GOLDEN_RUNS = """
import json
from tests.contract.shortened import events_digests, shipped_scenarios
print(json.dumps(events_digests(sorted(shipped_scenarios()))))
"""


def settings():
    """Return by name what to set in the environment; what NumPy cannot do without is never named."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    plain = {"NPY_DISABLE_CPU_FEATURES": " ".join(found)}
    return {"numpy_baseline": plain, "libm_baseline": {**plain, "GLIBC_TUNABLES": NO_FUSED_STEPS}}


def python(environment, *args):
    """Run Python from the repository's root under a setting and return what it prints."""
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, *args],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def computes_otherwise(environment):
    """Return whether exp, log or power give other last bits under a setting than without it."""
    return python(environment, "-c", PROBE) != python({}, "-c", PROBE)


def main():
    """Compare the golden runs' events under another setting; fail where they differ."""
    name = next((name for name, environment in settings().items() if computes_otherwise(environment)), None)
    if name is None:
        print("golden runs: no setting makes this machine compute otherwise")  # noqa: T201 - for CI's log
        return
    golden = json.loads(DIGESTS.read_text(encoding="utf-8"))
    found = json.loads(python(settings()[name], "-c", GOLDEN_RUNS))
    other = [n for n, digest in found.items() if golden[n] != digest]
    if other:
        sys.exit(f"golden runs under {name}: other events in {', '.join(other)}")
    print(f"golden runs under {name}: the same events in all {len(found)}")  # noqa: T201 - for CI's log


if __name__ == "__main__":
    main()
