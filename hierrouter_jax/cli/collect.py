"""The verb `collect`: a pool run over the routes of a set of queries."""

from hierrouter_jax.cli.configs import CollectConfig
from hierrouter_jax.errors import InputError

_OF_FORECASTS = ("assumptions", "measured")


def collect(config: CollectConfig, json: bool = False) -> None:
    """Run a pool over the routes of a set of queries, once, into an outcome table.

    Identical calls are made once, and finished calls are kept in OUT/calls.sqlite, verdicts in OUT/verdicts.sqlite:
    run the same command again after an interruption and it goes on. While there is a file OUT/pause it waits. Exit
    code 3: the budget is used up; 4: calls failed.
    """
    from hierrouter_jax.bridge.pool import load_pool
    from hierrouter_jax.cli.collection import collect_table, source_of
    from hierrouter_jax.cli.forecast import print_forecast
    from hierrouter_jax.config import config_path
    from hierrouter_jax.interrupts import what_is_kept

    source, pool = source_of(config), load_pool(config_path(config.pool))
    if config.dry_run:
        print_forecast(source, pool, config, json)
        return
    for name in _OF_FORECASTS:
        if getattr(config, name) != getattr(CollectConfig, name):
            raise InputError(f"--{name} is of a forecast: add --dry_run")
    if config.out is None:
        raise InputError("--out is missing: say in which folder the table is to be")
    with what_is_kept(f"{config.out} keeps the finished calls"):
        collect_table(source, pool, config, config.out, json)
