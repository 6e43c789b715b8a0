"""An OpenAI-compatible server of a few lines, on threads of this process, that can fail in every way there is."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """What the server answers: a status with a JSON body (or bytes as they are), or with `drop` a closed connection.

    Attributes:
      seconds: that it takes.
      trickle: seconds between two bytes of the body.
      events: parts of a streamed body, each sent as it is taken; `left` holds whether the client waited for all.
    """

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    seconds: float = 0.0
    trickle: float = 0.0
    events: Iterable[bytes] | None = None


@dataclass
class Asked:
    """A request: its path, fields, headers in lower case, and when it came.

    Attributes:
      turn: 1 of the first request with this prompt, 2 of the second, ...
      port: from which it came.
    """

    path: str
    fields: dict[str, Any]
    headers: dict[str, str]
    at: float
    turn: int
    port: int

    @property
    def prompt(self) -> str:
        return self.fields["messages"][-1]["content"] if "messages" in self.fields else self.fields["prompt"]


def completion(asked: Asked, text: str, reason: str = "stop", usage: bool = True, logprobs: Any = None) -> dict:
    """A reply of the endpoint that was asked; a token is a character, and one ends the text."""
    said = {"message": {"role": "assistant", "content": text}} if "messages" in asked.fields else {"text": text}
    tokens = {"prompt_tokens": len(asked.prompt), "completion_tokens": len(text) + 1, "total_tokens": 0}
    choice = {"index": 0, "finish_reason": reason, "logprobs": logprobs, **said}
    return {"id": "1", "object": "x", "created": 1, "model": "m", "choices": [choice]} | (
        {"usage": tokens} if usage else {}
    )


def upper(asked: Asked) -> Reply:
    """The answer to a prompt is the prompt in capitals."""
    return Reply(completion(asked, asked.prompt.upper()))


def chunks(asked: Asked, text: str, seconds: float = 0.0, reason: str = "stop") -> Iterator[bytes]:
    """The chunks of a completion, a word each; the last one says what it took."""
    whole = completion(asked, text, reason)
    for word in re.findall(r"\S+\s*", text):
        said = {"delta": {"content": word}} if "messages" in asked.fields else {"text": word}
        yield _event({**whole, "choices": [{"index": 0, "finish_reason": None, **said}], "usage": None})
        time.sleep(seconds)
    said = {"delta": {}} if "messages" in asked.fields else {"text": ""}
    yield _event({**whole, "choices": [{"index": 0, "finish_reason": reason, **said}], "usage": None})
    yield _event({**whole, "choices": []})
    yield b"data: [DONE]\n\n"


def _event(body: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(body)}\n\n".encode()


def either(rule: Callable[[Asked], str], seconds: float = 0.0) -> Callable[[Asked], Reply]:
    """Answers by a rule from request to text, streamed where that is asked for; a word takes so many seconds."""

    def answer(asked: Asked) -> Reply:
        text = rule(asked)
        if asked.fields.get("stream"):
            return Reply(events=chunks(asked, text, seconds))
        return Reply(completion(asked, text), seconds=seconds * len(text.split()))

    return answer


class FakeServer:
    """Answers by a rule; `asked` holds every request, and `most_at_once` how many were under way together.

    `left` counts the clients that left in the middle of a stream. `pages` holds what is answered to those who only
    look; an empty list where it has no such page.
    """

    def __init__(self, rule: Callable[[Asked], Reply] = upper, port: int = 0) -> None:
        self.rule, self.asked, self.most_at_once, self.left = rule, [], 0, 0
        self.pages: dict[str, Reply] = {}
        self._under_way, self._lock = 0, threading.Lock()
        self.start(port)

    def start(self, port: int) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                fields = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with fake._lock:
                    fake._under_way += 1
                    fake.most_at_once = max(fake.most_at_once, fake._under_way)
                    turn = 1 + sum(_same(one.fields, fields) for one in fake.asked)
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    asked = Asked(self.path, fields, headers, time.monotonic(), turn, self.client_address[1])
                    fake.asked.append(asked)
                reply = fake.rule(asked)
                time.sleep(reply.seconds)
                with fake._lock:
                    fake._under_way -= 1
                if reply.events is not None:
                    self._stream(reply)
                elif not reply.drop:
                    self._send(reply)

            def _stream(self, reply: Reply) -> None:
                self.send_response(reply.status)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                try:
                    for part in reply.events or ():
                        self.wfile.write(part)
                        self.wfile.flush()
                except OSError:  # a client that waits no longer
                    fake.left += 1

            def do_GET(self) -> None:
                self._send(fake.pages.get(self.path, Reply({"object": "list", "data": []})))

            def _send(self, reply: Reply) -> None:
                body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with suppress(OSError):  # a client that waits no longer
                    for at in range(len(body)) if reply.trickle else ():
                        self.wfile.write(body[at : at + 1])
                        time.sleep(reply.trickle)
                    if not reply.trickle:
                        self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one.get(name) == other.get(name) for name in ("prompt", "messages"))
