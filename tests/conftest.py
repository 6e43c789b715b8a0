"""Settings that all tests share."""

import os

from hypothesis import settings

os.environ.setdefault("JAX_PLATFORMS", "cpu")
settings.register_profile("default", deadline=None, max_examples=15, derandomize=True)
settings.load_profile("default")
