"""A strict little world: float64, no silent promotion of types or ranks, warnings are errors, a key for whoever asks."""

import gc
import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import equinox as eqx
import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Compiling dominates on a CPU, and most programs run once: they are left as they are, which takes a third less time. A jaxlib
# that does not know these flags would end the process: one is asked first, and the workers of xdist inherit the answer.
if "XLA_FLAGS" not in os.environ:
    _flags = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true --xla_cpu_use_fusion_emitters=false"
    _asked = subprocess.run(
        [sys.executable, "-c", "import jax; jax.devices()"], env=os.environ | {"XLA_FLAGS": _flags}, capture_output=True
    )
    os.environ["XLA_FLAGS"] = _flags if _asked.returncode == 0 else ""

# Compiled functions survive from one run of the tests to the next.
_cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "equivax" / "xla-tests"
try:
    _cache.mkdir(parents=True, exist_ok=True)
except OSError:
    _cache = Path(tempfile.mkdtemp(prefix="equivax-xla-"))
jax.config.update("jax_compilation_cache_dir", str(_cache))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


@pytest.fixture
def getkey():
    """A function that returns a fresh key at each call, the same ones in every run."""
    counter = itertools.count()

    def next_key():
        return jax.random.fold_in(jax.random.key(5678), next(counter))

    return next_key


# Every compiled program holds some pieces of memory of its own, of which Linux allows a process 65,530.
_MAPS, _MOST = Path("/proc/self/maps"), 25_000


@pytest.fixture(autouse=True)
def forget_programs():
    """After a test, let go of the compiled programs if there are many: they come back from the cache on the disk."""
    yield
    if _MAPS.exists() and _MAPS.read_bytes().count(b"\n") > _MOST:
        eqx.clear_caches()
        jax.clear_caches()
        gc.collect()
