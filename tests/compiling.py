"""Quick compilation for tests that start processes of their own."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def compiled_quickly(tmp_path_factory):
    """Here and in the processes that these tests start, which share what they compile."""
    variables = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("xla")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "JAX_PLATFORMS": "cpu",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield
