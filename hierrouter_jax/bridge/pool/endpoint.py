"""Where a member's endpoint answers, within which limits, and how it is started where this run starts it."""

from dataclasses import dataclass, replace
from typing import ClassVar
from urllib.parse import urlsplit

from hierrouter_jax.domains import COUNT, NATURAL, POSITIVE, REAL, Domains, check_domains
from hierrouter_jax.errors import InputError, nearest

# What a request may hold beside model and prompt.
FIELDS = ("max_tokens", "temperature", "top_p", "top_k", "seed", "stop", "frequency_penalty", "logprobs")
# Those that an endpoint may refuse without an answer being any different: they are then left out.
DISPENSABLE = ("logprobs", "frequency_penalty")


@dataclass(frozen=True)
class Endpoint:
    """Where an OpenAI-compatible server answers, and how it is started where this run starts it.

    Attributes:
      base_url: address up to and with `/v1`; of a server with a `command` by default `http://127.0.0.1:{port}/v1`.
      model: the model's name there. With a `command`, `{source}` in it stands for the member's source.
      weights: what it runs, in words of your own (`Qwen/Qwen2.5-7B-Instruct@a09a354`): calls that were made of equal
        weights at equal settings are not made again, at whatever address; by default the address and the model's name.
      api_key_env: the environment variable that holds the key; by default none is sent. The key is written nowhere.
      concurrency: calls under way at once.
      requests_per_minute: most calls begun in a minute; without it, as many as come.
      timeout: seconds that a call may take.
      retries: most retries of a call that failed in a way that may pass.
      leave_out: fields of a request that are not sent, as the endpoint refuses them (`[temperature]`).
      command: program and arguments that start the server, without a shell; by default it is started by somebody else.
        `{port}` in an argument stands for a free port, `{source}` for where the member's source lies. Members of one
        command share one server. It needs `weights`, as its address changes from run to run.
      start_seconds: longest time until a server with a `command` answers.
      restarts: most restarts, in one run, of a server with a `command` that ended by itself.

    Raises:
      InputError: if the address is none, a name is empty, a number makes no sense, a field is not among those sent, or
        lacks its `command`.
    """

    DOMAINS: ClassVar[Domains] = {
        "concurrency": COUNT,
        "requests_per_minute": POSITIVE,
        "timeout": POSITIVE,
        "retries": NATURAL,
        "start_seconds": POSITIVE,
        "restarts": NATURAL,
        "command": REAL,  # of the numbers among its arguments
    }

    base_url: str = ""
    model: str = ""
    weights: str = ""
    api_key_env: str | None = None
    concurrency: int = 16
    requests_per_minute: float | None = None
    timeout: float = 300.0
    retries: int = 5
    leave_out: tuple[str, ...] = ()
    command: tuple[str | int | float, ...] = ()
    start_seconds: float = 600.0
    restarts: int = 10

    def __post_init__(self) -> None:
        check_domains(self)
        if self.command:
            self._check_command()
        elif (self.start_seconds, self.restarts) != (Endpoint.start_seconds, Endpoint.restarts):
            raise InputError("start_seconds and restarts are of a server that is started here; state its command")
        _check_url(self.address(port=1))
        parts = urlsplit(self.address(port=1))
        if parts.username or parts.password or parts.query:
            raise InputError(
                "base_url holds credentials or a query; a key belongs in the variable that api_key_env names"
            )
        if not self.model.strip():
            raise InputError("model is empty, but must be the model's name at the endpoint")
        if self.api_key_env is not None and not self.api_key_env.isidentifier():
            raise InputError("api_key_env is no name of an environment variable; never put the key itself there")
        for name in self.leave_out:
            if name not in FIELDS:
                raise InputError(f"leave_out holds {name!r}, which is never sent; {nearest(name, FIELDS)}")

    def address(self, port: int) -> str:
        """The base address, of a server with a `command` at that port."""
        if not self.command:
            return self.base_url
        return (self.base_url or "http://127.0.0.1:{port}/v1").replace("{port}", str(port))

    def at(self, port: int, source: str) -> "Endpoint":
        """The endpoint of a server with a `command` that was started at that port, for a source that lies there."""
        return replace(
            self,
            base_url=self.address(port),
            model=self.model.replace("{source}", source),
            command=(),
            start_seconds=Endpoint.start_seconds,
            restarts=Endpoint.restarts,
        )

    def _check_command(self) -> None:
        program, *arguments = map(str, self.command)
        if not program.strip():
            raise InputError("command begins with an empty text, but must begin with a program")
        if not any("{port}" in argument for argument in arguments):
            raise InputError(
                "command has no argument with {port}, which stands for a free port: [llama-server, --port, '{port}', "
                "...]"
            )
        if self.base_url and "{port}" not in self.base_url:
            raise InputError(
                f"base_url is {self.base_url!r}, but the port of a server with a command is chosen anew in each run: "
                "drop it, or write {port} in it"
            )
        if not self.weights.strip():
            raise InputError(
                "command needs weights, which name what the server runs (Qwen/Qwen2.5-7B-Instruct@a09a354), as its "
                "address changes from run to run"
            )


def _check_url(url: str) -> None:
    """Refuse what no request can be sent to; `urlsplit` drops line breaks without a word."""
    wrong = f"base_url is {url!r}, but must be an address such as http://localhost:8000/v1"
    if not url.isprintable() or " " in url:
        raise InputError(f"{wrong}, without blanks and line breaks")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InputError(f"{wrong} ({error})") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment or port == 0:
        raise InputError(wrong)
