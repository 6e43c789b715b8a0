"""The server's addresses: OpenAI's and Anthropic's interfaces, the policy's decisions, feedback, and its own state."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from types import ModuleType
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.sse import format_sse_event
from starlette.exceptions import HTTPException
from starlette.types import Scope

from hierrouter_jax._version import __version__
from hierrouter_jax.bridge.backends.interface import Piece
from hierrouter_jax.errors import InputError, reason_of
from hierrouter_jax.serve import chat, messages, responses
from hierrouter_jax.serve.episode import Episode, NoAnswer
from hierrouter_jax.serve.limits import Guard, Refused, address_of, hosts_of, let_pages_in
from hierrouter_jax.serve.page_files import PageFiles
from hierrouter_jax.serve.router import Router
from hierrouter_jax.serve.service import Running, Service, open_log
from hierrouter_jax.serve.settings import ServeConfig
from hierrouter_jax.serve.shapes import (
    Feedback,
    check_text,
    choice_data,
    comment_of,
    error_body,
    extension,
    headers_of,
)
from hierrouter_jax.serve.telemetry import say


def make_app(config: ServeConfig, router: Router, key: str | None = None) -> FastAPI:
    """The server as an ASGI application.

    Args:
      config: settings of the server.
      router: policy, pool and encoder that it begins with.
      key: key that clients must send; None asks for none.

    Raises:
      InputError: if the decision log cannot be kept.
    """
    log = open_log(config)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.service = Service(config, router, log)
        yield
        await app.state.service.close()

    def note(scope: Scope, status: int) -> None:
        app.state.service.telemetry.done(address_of(scope), status)

    pages: dict[str, Any] = {"docs_url": None, "redoc_url": None}  # they would load scripts from elsewhere
    app = FastAPI(title="hierrouter", version=__version__, lifespan=lifespan, **pages)
    hosts = hosts_of(config.host, config.allowed_hosts, key)
    within = {"max_body": config.max_body, "body_seconds": config.body_seconds}
    app.add_middleware(Guard, key=key, hosts=hosts, origins=config.allowed_origins, note=note, **within)
    let_pages_in(app, config.allowed_origins)
    app.add_exception_handler(InputError, _bad_input)
    app.add_exception_handler(NoAnswer, _no_answer)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _broken)
    _add_interfaces(app)
    _add_state(app)
    app.mount("/", PageFiles())
    return app


def _add_interfaces(app: FastAPI) -> None:
    """What asks the router or its policy."""

    @app.post("/v1/chat/completions", response_model=None)
    async def chat_completions(body: chat.Request, request: Request) -> Response:
        """OpenAI's chat completions."""
        return await _answered(chat, body, request)

    @app.post("/v1/responses", response_model=None)
    async def openai_responses(body: responses.Request, request: Request) -> Response:
        """OpenAI's responses, without any state."""
        return await _answered(responses, body, request)

    @app.post("/v1/messages", response_model=None)
    async def anthropic_messages(body: messages.Request, request: Request) -> Response:
        """Anthropic's messages."""
        return await _answered(messages, body, request)

    @app.post("/v1/decision", response_model=None)
    async def decision(body: chat.Request, request: Request) -> Response:
        """What would be called first, and why; nothing is called."""
        await _check(request)
        service = _service(request)
        ask = service.ask(body, request.headers)
        if ask.member:
            raise InputError(f"model {ask.member!r} answers by itself: there is no decision")
        choice, prompts = await service.engine.first(Episode(ask))
        data = choice_data(choice, service.actions) | _charges(service, prompts)
        return _reply(request, {"object": "hierrouter.decision", **data})

    @app.get("/v1/models", response_model=None)
    async def models(request: Request) -> Response:
        """The router under its name and 'auto', with what it can be told, and each member by itself."""
        service, about = _service(request), {"object": "model", "created": 0, "owned_by": "hierrouter"}
        data: list[dict[str, Any]] = [{"id": name, **about} for name in service.models]
        for router in data[:2]:
            router["hierrouter"] = service.description
        return _reply(request, {"object": "list", "data": data})

    @app.post("/v1/feedback", response_model=None)
    async def feedback(body: Feedback, request: Request) -> Response:
        """The quality of an answer, by its episode's id; kept in the decision log."""
        await _check(request)
        logged = _log(request).add_feedback(body.episode_id, body.quality)
        return _reply(request, {"object": "hierrouter.feedback", "logged": logged})

    @app.delete("/v1/episodes/{episode_id}", response_model=None)
    async def forget(episode_id: str, request: Request) -> Response:
        """Take every record of an episode out of the decision log."""
        log = _log(request)
        try:
            forgotten = await asyncio.to_thread(log.forget, episode_id)
        except (OSError, InputError) as error:
            raise Refused(503, f"the log cannot be rewritten now ({reason_of(error)}); try again") from None
        return _reply(request, {"object": "hierrouter.forgotten", "episode_id": episode_id, "decisions": forgotten})


def _add_state(app: FastAPI) -> None:
    """What tells of the server, or changes it."""

    @app.get("/healthz", response_model=None)
    async def health() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.get("/readyz", response_model=None)
    async def ready(request: Request) -> Response:
        """Whether requests can be answered, and each member's circuit breaker."""
        service = _service(request)
        members = {member.name: member.state for member in service.members}
        body = {"ready": service.ready, "policy": service.fingerprint, "members": members}
        return JSONResponse(body, 200 if service.ready else 503)

    @app.get("/metrics", response_model=None)
    async def metrics(request: Request) -> Response:
        """Metrics for Prometheus."""
        service = _service(request)
        lost = 0 if service.log is None else service.log.counts.lost
        return Response(service.telemetry.page(service.members, lost), media_type="text/plain; version=0.0.4")

    @app.post("/admin/reload", response_model=None)
    async def reload(request: Request) -> Response:
        """Serve the policy that lies in the folder now."""
        return _reply(request, {"policy": await _service(request).reload()})


def _reply(request: Request, body: dict[str, Any]) -> Response:
    """An answer of no route, counted among the requests."""
    answer = JSONResponse(body)
    _service(request).telemetry.done(address_of(request.scope), answer.status_code)
    return answer


async def _answered(shape: ModuleType, body: Any, request: Request) -> Response:
    """The answer to a request of one of the interfaces, whole or as a stream."""
    await _check(request)
    service = _service(request)
    running = Running(service, service.ask(body, request.headers, bool(body.stream)))
    episode, path = running.episode, address_of(request.scope)
    request.state.episode = episode
    if body.stream:
        await running.begun()
        if running.trouble is not None:
            raise running.trouble
        headers = {"x-hierrouter-episode-id": episode.ask.id, "cache-control": "no-store", "x-accel-buffering": "no"}
        stream = _streamed(shape.Stream(body, episode), running, service, path)
        return StreamingResponse(stream, headers=headers, media_type="text/event-stream")
    watch = asyncio.create_task(_left(request))
    try:
        await asyncio.wait([watch, running.task], return_when=asyncio.FIRST_COMPLETED)
    finally:
        watch.cancel()
        await running.cancel()
    if running.trouble is not None:
        raise running.trouble
    answer = JSONResponse(shape.answer(body, episode, _extension(episode, service)), headers=headers_of(episode))
    service.telemetry.done(path, answer.status_code, episode)
    return answer


async def _streamed(stream: Any, running: Running, service: Service, path: str) -> AsyncIterator[bytes]:
    """An answer as server-sent events: its pieces, and all else that happens as comments."""
    episode, pieces = running.episode, False
    status = 499  # the client leaves before the end
    try:
        yield b"".join(stream.begin())
        async with aclosing(running.events()) as events:
            async for event in events:
                if isinstance(event, Piece):
                    pieces = True
                    yield b"".join(stream.piece(event))
                else:
                    yield format_sse_event(comment=comment_of(event, service.actions))
        if running.trouble is not None:
            status = running.trouble.status_code
            yield b"".join(stream.error(status, running.trouble.detail, running.trouble.kind))
            return
        status = 200
        if not pieces:
            yield b"".join(stream.piece(Piece(episode.answer, episode.calls)))
        yield b"".join(stream.end(_extension(episode, service)))
    finally:
        service.telemetry.done(path, status, episode)


def _extension(episode: Episode, service: Service) -> dict[str, Any]:
    return extension(episode, service.actions, service.engine.bundle.money_unit)


def _charges(service: Service, prompts: dict[str, Any]) -> dict[str, Any]:
    """What the first call of each member would cost: at most, and by the mean length of its responses so far."""
    largest, mean = {}, {}
    for member in service.members:
        if member.name not in prompts:
            continue
        try:
            tokens = member.backend.count_tokens([prompts[member.name]])[0]
        except InputError:  # it has no tokenizer
            continue
        largest[member.name] = member.backend.price.cost(tokens, member.backend.max_new_tokens)
        if member.mean_tokens_out is not None:
            mean[member.name] = member.backend.price.cost(tokens, member.mean_tokens_out)
    return {"largest_charge": largest, "mean_charge": mean, "money_unit": service.engine.bundle.money_unit}


async def _check(request: Request) -> None:
    """Refuse a body that holds what cannot be passed on, however it is written."""
    check_text(await request.json())


async def _left(request: Request) -> None:
    """Wait until the client leaves."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _service(request: Request) -> Service:
    return request.app.state.service


def _log(request: Request) -> Any:
    log = _service(request).log
    if log is None:
        raise Refused(409, "this server keeps no decision log; start it with --log DIR")
    return log


async def _bad_input(request: Request, error: Exception) -> Response:
    return _error(request, 400, str(error))


async def _no_answer(request: Request, error: Exception) -> Response:
    return _error(request, 503, str(error), headers={"retry-after": "2"})


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(request, error.status_code, str(error.detail), getattr(error, "kind", ""), dict(error.headers or {}))


async def _broken(request: Request, error: Exception) -> Response:
    """A fault of the server, whose traceback goes to its log."""
    say("error", reason=reason_of(error), kind=type(error).__name__)
    return _error(request, 500, "an error of the server; its log tells more")


async def _invalid(request: Request, error: Exception) -> Response:
    """A body that is no JSON, or of other fields: the first fault in one sentence."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")[:200]
    return _error(request, 400, f"{place}: {first['msg']}" if place else f"the body: {first['msg']}")


def _error(
    request: Request, status: int, message: str, kind: str = "", headers: dict[str, str] | None = None
) -> Response:
    episode: Episode | None = getattr(request.state, "episode", None)
    _service(request).telemetry.done(address_of(request.scope), status, episode)
    route = headers_of(episode) if episode is not None else {}
    body = error_body(request.url.path, status, message, kind)
    return JSONResponse(body, status, {**route, **(headers or {})})
