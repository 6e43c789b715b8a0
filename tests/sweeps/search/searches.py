"""How tests cut a search off and compare it with a whole one."""

import pandas as pd
import pytest

from hierrouter_jax.sweeps.search.config import SweepConfig
from hierrouter_jax.sweeps.search.run import sweep


def interrupted(config: SweepConfig, after: int) -> None:
    """A search that ends in an interrupt when so many runs are finished."""
    done = 0

    def watch(_plan, members, _scores):
        nonlocal done
        done += len(members)
        if done >= after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(config, watch)


def frames_are_equal(one, other) -> None:
    pd.testing.assert_frame_equal(one.frame, other.frame, check_exact=True)
    assert (one.config.out / "sweep.parquet").read_bytes() == (other.config.out / "sweep.parquet").read_bytes()
