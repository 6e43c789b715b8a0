"""The settings of a server of routed answers."""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import ClassVar

from hierrouter_jax.domains import COUNT, NATURAL, POSITIVE, Domain, Domains, check_domains
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.exploration import Exploration


@dataclass(frozen=True)
class ServeConfig:
    """What is served, to whom, and within which limits.

    Attributes:
      policy: folder of a policy bundle, as a run's policy/ or 'hierrouter export' gives; or hf://OWNER/NAME of one on
        the hub.
      pool: preset or YAML file of the pool that the policy was trained on.
      host: address to listen at; any but this machine's own needs a key.
      port: port to listen at; 0 takes a free one, which the first line of the log tells.
      name: name under which clients ask for the router, beside 'auto'.
      key_env: the environment variable that holds the key which clients must send; by default none is asked for.
      allowed_hosts: names by which clients may call this server; by default those of this machine, with a key all.
      allowed_origins: web pages that may call it, such as https://chat.example; by default its own alone.
      max_requests: most requests under way; further ones are answered with 429.
      timeout: seconds that a request may take.
      max_body: most bytes of a request.
      max_characters: most characters of a conversation, which the router reads.
      body_seconds: seconds within which a request must have arrived.
      retries: most retries of a member's call, where its endpoint says more.
      drain_seconds: seconds that requests under way are given to end when the server is asked to.
      sessions: most sessions whose spending is remembered; the one that was used longest ago is forgotten.
      explore: how the policy draws its actions: none (always the best), softmax:T or epsilon:E.
      seed: seed of these draws; by default they are others each time.
      log: folder of the decision log; by default there is none.
      log_text: whether questions and responses are logged too.
      log_bytes: largest size of the decision log, whose oldest parts are then dropped.
      server_logs: folder of the logs of servers that the pool's commands start; by default it is gone at the end.
    """

    DOMAINS: ClassVar[Domains] = {
        "port": Domain(0, 65535, whole=True),
        "max_requests": COUNT,
        "timeout": POSITIVE,
        "max_body": COUNT,
        "max_characters": COUNT,
        "body_seconds": POSITIVE,
        "retries": NATURAL,
        "drain_seconds": POSITIVE,
        "sessions": COUNT,
        "seed": NATURAL,
        "log_bytes": COUNT,
    }

    policy: Path = Path("runs/quickstart/policy")
    pool: str = "pool/tiny.yaml"
    host: str = "127.0.0.1"
    port: int = 8000
    name: str = "hierrouter"
    key_env: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    max_requests: int = 256
    timeout: float = 300.0
    max_body: int = 4_000_000
    max_characters: int = 400_000
    body_seconds: float = 15.0
    retries: int = 1
    drain_seconds: float = 30.0
    sessions: int = 10_000
    explore: str = "none"
    seed: int | None = None
    log: Path | None = None
    log_text: bool = False
    log_bytes: int = 4_000_000_000
    server_logs: Path | None = None

    def __post_init__(self) -> None:
        check_domains(self)
        Exploration.parse(self.explore)
        if not self.name.strip() or self.name == "auto":
            raise InputError(f"name is {self.name!r}, but must be a name other than auto, which always stands for it")
        if self.log is None and self.log_text:
            raise InputError("log_text needs log, the folder of the decision log")
        if not self.loopback and self.key_env is None:
            raise InputError(
                f"host is {self.host}, which others can reach: name the variable that holds a key (--key_env), or "
                "listen at 127.0.0.1"
            )

    @property
    def loopback(self) -> bool:
        """Whether the address is this machine's own, which nobody else can reach."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
