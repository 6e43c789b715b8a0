"""`hierrouter <verb>`: parse, call one function, print. Only the verb that is asked for is imported."""

import os
import select
import sys
from contextlib import nullcontext

from jsonargparse import ArgumentError

from hierrouter_jax._version import __version__
from hierrouter_jax.cli.parser import help_of, parse
from hierrouter_jax.cli.verbs import VERBS
from hierrouter_jax.errors import InputError, Unfinished
from hierrouter_jax.files import sole_writer, trouble_of_place, user_cache
from hierrouter_jax.processor import use_wide_vectors

PIPE_CLOSED = 141  # as a shell has it of who was ended by SIGPIPE


def main(arguments: list[str] | None = None) -> int:
    """Run a verb; returns the exit code: 0, or with one line on stderr 2 on bad input, else why it stopped early.

    Where what reads the output is gone, as after `| head`, it ends without a word.
    """
    try:
        code = _run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        if not _unread(sys.stdout.fileno()):
            raise  # it was another pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is written at the exit
        return PIPE_CLOSED


def _unread(file: int) -> bool:
    """Whether it is a pipe that nobody reads any more."""
    state = select.poll()
    state.register(file, 0)
    return any(event & select.POLLERR for _, event in state.poll(0))


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if arguments[0] == "--version":
        print(__version__)
        return 0
    try:
        verb, *options = arguments
        if help_asked := {"-h", "--help", "--help-all", "--help_all"} & set(options):
            print(help_of(verb, everything=bool(help_asked & {"--help-all", "--help_all"})))
            return 0
        _prepare_environment()
        function, keywords = parse(verb, options)
        folder = getattr(keywords["config"], "written", None)
        with sole_writer(folder) if folder else nullcontext():
            function(**keywords)
        return 0
    except (InputError, ArgumentError) as error:
        print(f"hierrouter: error: {_one_line(error)}", file=sys.stderr)
        return 2
    except Unfinished as stopped:
        print(f"hierrouter: {_one_line(stopped)}", file=sys.stderr)
        return stopped.code
    except KeyboardInterrupt as interrupt:
        progress = f"; {interrupt}, run the same command again to go on" if str(interrupt) else ""
        print(f"hierrouter: interrupted{progress}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        raise
    except Exception as error:
        trouble = trouble_of_place(error)
        if trouble is None:
            raise
        print(f"hierrouter: error: {_one_line(trouble)}", file=sys.stderr)
        return 2


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
    lines = [f"  {name:<{width}}  {verb.help}" for name, verb in VERBS.items()]
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
