"""The verb `serve`: a router behind a URL that any OpenAI or Anthropic client can use."""

from importlib.util import find_spec

from hierrouter_jax.errors import InputError
from hierrouter_jax.processor import importing
from hierrouter_jax.serve.settings import ServeConfig


def serve(config: ServeConfig) -> None:
    """Serve a policy and its pool: OpenAI's chat completions and responses, Anthropic's messages.

    It ends in good order on SIGTERM or Ctrl-C, and reads its policy anew on SIGHUP. Its log is lines of JSON on
    standard error, without the text of any request.
    """
    for package in ("fastapi", "uvicorn", "purgatory", "prometheus_client", "opentelemetry"):
        if find_spec(package) is None:
            raise InputError(f"{package} is not installed; pip install 'hierrouter_jax[live,serve]'")
    with importing():
        from hierrouter_jax.serve.server import run_server

    run_server(config)
