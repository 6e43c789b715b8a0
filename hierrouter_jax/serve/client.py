"""Asking a running server, without loading a policy or a model."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from http.client import HTTPException
from typing import Any, NoReturn
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from hierrouter_jax.bridge.transcript import Hop, Transcript
from hierrouter_jax.errors import InputError, reason_of
from hierrouter_jax.outcomes.table import Query, Turn

AT_ONCE = 16
_SECONDS = 600.0


def ask_server(
    url: str, questions: Sequence[str] | Sequence[Query], conditions: dict[str, Any], key: str | None = None
) -> tuple[list[Transcript], str]:
    """How a server routes questions, some of them at once; and the unit of their costs.

    Args:
      url: address of the server, with or without `/v1`.
      questions: queries, or just their texts, which then get the ids query-0, query-1, ...
      conditions: what the policy is told: budget, cost_weight, max_hops, task; those that are None are left out.
      key: key that the server asks for; None sends none.

    Raises:
      InputError: if nobody answers there, or a question is refused.
    """
    base = url.rstrip("/").removesuffix("/v1")
    try:
        scheme = urlsplit(base).scheme
    except ValueError as error:
        raise InputError(f"url is {url!r}, which is no address ({error})") from None
    if scheme not in ("http", "https"):
        raise InputError(f"url is {url!r}, but must begin with http:// or https://")
    queries = [
        one if isinstance(one, Query) else Query(f"query-{row}", one, "", "", "test")
        for row, one in enumerate(questions)
    ]
    try:
        router = _Server(base, key).open("models")["data"][0]["hierrouter"]
        reads_task, unit = router["reads_task"], router["money_unit"]
    except _Failed as failed:
        raise InputError(f"{base} cannot be asked now: {failed}") from None
    except (LookupError, TypeError):
        _refuse_other(base)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(lambda query: _ask(base, key, query, conditions, reads_task), queries)), unit


def _ask(base: str, key: str | None, query: Query, conditions: dict[str, Any], reads_task: bool) -> Transcript:
    task = {"task": query.task} if reads_task and query.task else {}
    values = task | {name: value for name, value in conditions.items() if value not in (None, "")}
    turns = [turn._asdict() for turn in (*query.shots, Turn("user", query.text))]
    budget = conditions.get("budget")
    try:
        its = _Server(base, key).open("chat/completions", {"messages": turns, "hierrouter": values})["hierrouter"]
        hops = tuple(map(_hop, its["hops"]))
        return Transcript(query.id, query.text, hops, its["stopped"], budget, its["trouble"])
    except _Failed as failed:
        return Transcript(query.id, query.text, (), False, budget, str(failed))
    except (LookupError, TypeError, AttributeError):
        _refuse_other(base)


class _Failed(Exception):
    """The server could not answer a question."""


class _Server:
    """A server's interface at `/v1`."""

    def __init__(self, base: str, key: str | None) -> None:
        self._base, self._headers = base, {"Content-Type": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"

    def open(self, path: str, body: Any = None) -> Any:
        """What it answers: of a body to a POST, else to a GET."""
        content = None if body is None else json.dumps(body).encode()
        request = Request(f"{self._base}/v1/{path}", content, self._headers)
        try:
            with build_opener(ProxyHandler({})).open(request, timeout=_SECONDS) as reply:
                return json.load(reply)
        except HTTPError as error:
            if error.code >= 500:
                raise _Failed(_message(error)) from None
            raise InputError(f"{self._base} refuses the request: {_message(error)} (status {error.code})") from None
        except (OSError, ValueError, HTTPException) as error:
            _refuse_other(self._base, error)


def _refuse_other(base: str, error: Exception | None = None) -> NoReturn:
    """Refuse an address at which another server answers, or none."""
    why = "it tells of no routes" if error is None else reason_of(error)
    raise InputError(f"{base} does not answer as a server of 'hierrouter serve' does ({why})") from None


def _hop(data: dict[str, Any]) -> Hop:
    known = {field.name for field in fields(Hop)}
    values = {name: value for name, value in data.items() if name in known}
    return Hop(**{**values, "probabilities": tuple(data["probabilities"].values())})


def _message(error: HTTPError) -> str:
    try:
        return str(json.load(error)["error"]["message"])
    except (OSError, ValueError, HTTPException, LookupError, TypeError):
        return str(error.reason)
