"""`hierrouter <verb>`: parse, call one function, print. Only the verb that is asked for is imported."""

import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser, DefaultHelpFormatter

from hierrouter_jax._version import __version__
from hierrouter_jax.cli.options import check_options, explain
from hierrouter_jax.config import config_path
from hierrouter_jax.domains import check_values
from hierrouter_jax.errors import InputError, Unfinished
from hierrouter_jax.files import sole_writer, trouble_of_place, user_cache
from hierrouter_jax.processor import use_wide_vectors

# verb: (module, what it does, an example)
VERBS = {
    "quickstart": (
        "live",
        "collect, train, evaluate, export and route the tiny pool, end to end",
        "quickstart --seed 1",
    ),
    "collect": (
        "collect",
        "run a pool over every route of a set of queries into an outcome table",
        "collect tables/mine --pool pool.yaml --queries queries.jsonl",
    ),
    "calls": (
        "calls",
        "write the calls that a collection keeps into small files that can be committed",
        "calls tables/mine tables/mine-calls",
    ),
    "tables": ("shipped", "list the outcome tables of real models that ship with the package", "tables"),
    "pack": (
        "shipped",
        "write a table in the form in which tables ship: small files, the embeddings of several encoders",
        "pack tables/minilm tables/mpnet --out tables/small-coders --encoders '[minilm, mpnet]'",
    ),
    "import": (
        "import_",
        "read outcomes that others published into an outcome table",
        "import long outcomes.csv --prices prices.yaml --tokenizer words --out tables/mine",
    ),
    "regrade": (
        "regrade",
        "judge the responses of an outcome table anew, without calling a model",
        "regrade tables/mine --dry_run",
    ),
    "inspect": ("runs", "show what an outcome table holds", "inspect runs/quickstart/table --query test-00007"),
    "train": (
        "runs",
        "train routers on an outcome table",
        "train tables/mine --out runs/mine --train.hyper.reward.hop_cost 0.05 --train.num_seeds 10",
    ),
    "sweep": (
        "search",
        "train many settings over seeds, rank them, export the best",
        "sweep tables/mine 'learning_rate=log(3e-4,3e-3)' learner=exact,exact+stop --seeds 4 --out runs/sweep",
    ),
    "compare": (
        "compare",
        "compare reward shapings, learners or settings over seeds and cost weights",
        "compare runs/quickstart/table --config compare/rewards.yaml --out runs/rewards",
    ),
    "worth": (
        "worth",
        "say whether routing, and whether more hops, are worth it for the models of a table",
        "worth runs/quickstart/table",
    ),
    "leaderboard": (
        "leaderboard",
        "rank all learners and all opponents on the same splits of one or several tables",
        "leaderboard tables/lookahead --splits 10 --train 1200 --test 540 --out runs/leaderboard",
    ),
    "transfer": (
        "transfer",
        "say what routers lose on a benchmark, or with a model, that they were not trained on",
        "transfer tables/mine --config train/fast.yaml --model large --known '[0, 50, 200]'",
    ),
    "evaluate": (
        "runs",
        "evaluate a run's routers exactly beside their opponents",
        "evaluate runs/mine --split validation",
    ),
    "calibrate": (
        "leaderboard",
        "find the cost weight or stop threshold that meets a budget or an accuracy",
        "calibrate runs/mine --budget 120",
    ),
    "export": (
        "runs",
        "write a trained router as a policy bundle",
        "export runs/mine policies/mine --learner ppo+stop",
    ),
    "route": (
        "live",
        "answer queries live with a policy bundle and its pool",
        "route 'Compute 12+7-5. Answer in words.'",
    ),
    "convert": (
        "convert",
        "turn a GGUF file into a plain model folder that a pool or a server can load",
        "convert models/smollm2.gguf models/smollm2",
    ),
    "report": (
        "report",
        "write the page, figures and numbers of a run, of several, of a comparison or of a sweep",
        "report runs/mine --query test-00007",
    ),
}


FLAGS = (
    "--json",
    "--fresh",
    "--chat",
    "--full",
    "--unsafe_no_sandbox",
    "--resplit",
    "--public_test",
    "--keep_failed",
    "--keep_prompts",
    "--dry_run",
)
# Options that turn a verb into another view: verb and option: (module, function)
VIEWS = {
    ("inspect", "--task"): ("inspect_tasks", "inspect_task"),
    ("inspect", "--mix"): ("inspect_tasks", "inspect_mix"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run a verb; returns the exit code: 0, or with one line on stderr 2 on bad input, else why it stopped early."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if arguments[0] == "--version":
        print(__version__)
        return 0
    try:
        function, options = parse(arguments[0], arguments[1:])
        folder = _folder_written(arguments[0], options)
        with sole_writer(folder) if folder else nullcontext():
            function(**options)
        return 0
    except (InputError, ArgumentError) as error:
        print(f"hierrouter: error: {_one_line(error)}", file=sys.stderr)
        return 2
    except Unfinished as stopped:
        print(f"hierrouter: {_one_line(stopped)}", file=sys.stderr)
        return stopped.code
    except KeyboardInterrupt as interrupt:
        kept = str(interrupt) or "finished model calls are kept"
        print(f"hierrouter: interrupted; {kept}, run the same command again to go on", file=sys.stderr)
        return 130
    except Exception as error:
        trouble = trouble_of_place(error)
        if trouble is None:
            raise
        print(f"hierrouter: error: {_one_line(trouble)}", file=sys.stderr)
        return 2


def parse(verb: str, arguments: list[str]) -> tuple[Callable[..., None], dict[str, Any]]:
    """The function behind a verb, and the options to call it with.

    Raises:
      InputError, ArgumentError: if the verb or an option is unknown or mistyped.
    """
    if verb not in VERBS:
        raise InputError(f"{verb!r} is not a verb; the verbs are {', '.join(VERBS)}")
    _prepare_environment()
    module, _, example = VERBS[verb]
    asked = [view for (of, option), view in VIEWS.items() if of == verb and _given(option, arguments)]
    if len(asked) > 1:
        views = " and ".join(option for of, option in VIEWS if of == verb)
        raise InputError(f"{views} are views of {verb} by themselves: give one of them")
    module, name = asked[0] if asked else (module, f"{verb}_" if iskeyword(verb) else verb)
    commands = import_module(f"hierrouter_jax.cli.{module}")
    function = getattr(commands, name)
    configuration = getattr(commands, "CONFIGURED", {}).get(verb)
    arguments = getattr(commands, "ARGUMENTS", {}).get(verb, list)(arguments)
    parser = ArgumentParser(
        prog=f"hierrouter {verb}",
        description=(function.__doc__ or "").partition("Args:")[0].strip(),
        epilog=f"example:  hierrouter {example}",
        formatter_class=DefaultHelpFormatter,
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("--config", action="config", help="a preset or a YAML file with any of these options")
    if configuration is None:
        several = getattr(commands, "SEVERAL", {}).get(verb)
        if several is not None:
            parser.add_argument(several, nargs="+", type=Path, help="one or more folders")
        skip = {several} if several else set()
        parser.add_function_arguments(function, as_group=False, as_positional=not asked, skip=skip)
    else:
        parser.add_class_arguments(configuration, as_group=False, as_positional=True)
    arguments = _expanded(arguments)
    check_options(_names(parser), arguments)
    try:
        options = parser.instantiate(parser.parse_args(arguments)).as_dict()
        options.pop("config", None)
        domains = getattr(commands, "DOMAINS", {}).get(name if asked else verb, {})
        check_values({f"--{key}": options[key] for key in domains}, {f"--{key}": domains[key] for key in domains})
        return function, options if configuration is None else {"config": configuration(**options)}
    except (ArgumentError, ValueError) as error:  # the parser, or a configuration, refuses a value
        raise InputError(explain(error, arguments)) from None


def _folder_written(verb: str, options: dict[str, Any]) -> Path | None:
    """The folder that a verb writes for itself; those of a configuration say so where it is used."""
    writes = getattr(import_module(f"hierrouter_jax.cli.{VERBS[verb][0]}"), "WRITES", {}).get(verb)
    return writes(options) if writes else None


def _names(parser: ArgumentParser) -> set[str]:
    """Dotted names of the options that hold values; groups of them are prefixes."""
    names = {option[2:] for action in parser._actions for option in action.option_strings if option[:2] == "--"}
    names |= {action.dest for action in parser._actions if not action.option_strings}
    names = {name for name in names if not name.endswith(".help")}  # of an option that may hold fields of its own
    return {name for name in names if not any(other.startswith(f"{name}.") for other in names)}


def _given(option: str, arguments: list[str]) -> bool:
    return any(argument == option or argument.startswith(f"{option}=") for argument in arguments)


def _expanded(arguments: list[str]) -> list[str]:
    """Flags need no value, but may have one; `--config` and a reward take the name of a preset as well as a path."""
    valued = [value in ("true", "false") for value in [*arguments[1:], ""]]
    expanded = [
        f"{argument}=true" if argument in FLAGS and not has_value else argument
        for argument, has_value in zip(arguments, valued, strict=False)
    ]
    for position, argument in enumerate(arguments[:-1]):
        if argument == "--config" or (argument.endswith(".reward") and arguments[position + 1].endswith(".yaml")):
            expanded[position + 1] = str(config_path(arguments[position + 1]))
    return expanded


def _prepare_environment() -> None:
    """Keep compiled programs between runs, use the whole processor, keep libraries from talking over our own output."""
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(user_cache() / "xla"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")
    use_wide_vectors()
    os.environ["JAX_ENABLE_X64"] = "0"  # a learner's numbers have 32 bits, so that runs of any process go on in any
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def _overview() -> str:
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {text}" for verb, (_, text, _) in VERBS.items()]
    return "\n".join(
        [
            "usage: hierrouter VERB [OPTIONS]     (hierrouter VERB --help tells its options)",
            "",
            "Learned multi-hop routing of language models: run a pool once, train on the outcomes, route live.",
            "",
            *lines,
        ]
    )


def _one_line(error: Exception | str) -> str:
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main())
