"""The verb `quickstart`: the main job end to end, on the tiny pool."""

from hierrouter_jax.cli.result_tables import plain_console, print_result, result_console, result_table
from hierrouter_jax.quickstart_config import QuickstartConfig


def quickstart(config: QuickstartConfig) -> None:
    """Collect, train, evaluate, export and route the tiny pool, end to end."""
    from hierrouter_jax.interrupts import what_is_kept
    from hierrouter_jax.quickstart import run_quickstart

    console = plain_console(stderr=True)
    with what_is_kept(f"{config.out} keeps the finished calls and the checkpoints"):
        evaluation = run_quickstart(config, console)
    output = result_console()
    print_result(output, result_table(evaluation))
    for note in evaluation["table"]["notes"]:
        output.print(note, style="dim", soft_wrap=True)
    live = evaluation["live"]
    if live:
        output.print(
            f"live: {live['routes_equal']} of {live['queries']} routes and {live['responses_equal']} of "
            f"{live['queries']} responses of {live['policy']} equal the table's",
        )
    output.print(f"report: {config.out / 'report.html'}", soft_wrap=True)
