"""Spans of requests and hops, and log lines without text."""

import json
import logging

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from hierrouter_jax.serve import telemetry
from hierrouter_jax.serve.telemetry import JsonLines

CHAT = "/v1/chat/completions"


@pytest.fixture
def spans(monkeypatch):
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry.trace, "get_tracer", provider.get_tracer)
    return exporter


def test_a_span_a_hop_inside_the_requests_own(start, spans, queries):
    body = {"messages": [{"role": "user", "content": queries[0].text}]}
    its = httpx.post(f"{start().url}{CHAT}", json=body).json()["hierrouter"]
    *hops, request = spans.get_finished_spans()
    assert [span.attributes[telemetry.MODEL] for span in hops] == its["route"]
    assert [span.attributes[telemetry.TOKENS_OUT] for span in hops] == [hop["tokens_out"] for hop in its["hops"]]
    assert all(span.parent.span_id == request.context.span_id for span in hops)
    assert not any(queries[0].text in str(dict(span.attributes)) for span in spans.get_finished_spans())


def test_there_are_no_more_series_than_addresses(start):
    """Paths that anybody makes up share one; each address counts successes, failures, and who is turned away."""
    served = start()
    for number in range(3):
        httpx.post(f"{served.url}/x{number}")
        httpx.get(f"{served.url}/v1/x{number}")
        httpx.delete(f"{served.url}/v1/episodes/e{number}")
    httpx.get(f"{served.url}/v1/models")
    httpx.get(f"{served.url}/v1/models", headers={"host": "evil.example"})
    page = httpx.get(f"{served.url}/metrics").text
    counts = [line.partition("{")[2] for line in page.splitlines() if line.startswith("hierrouter_requests_total{")]
    assert sorted(counts) == [
        'path="/v1/episodes/{episode_id}",status="409"} 3.0',
        'path="/v1/models",status="200"} 1.0',
        'path="/v1/models",status="403"} 1.0',
        'path="other",status="404"} 3.0',
        'path="other",status="405"} 3.0',
    ]


def test_a_line_of_the_log_is_json_without_text(start, queries, caplog):
    caplog.set_level(logging.INFO, "hierrouter_jax.serve")
    body = {"messages": [{"role": "user", "content": queries[0].text}]}
    its = httpx.post(f"{start().url}{CHAT}", json=body).json()["hierrouter"]
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
    line = next(line for line in lines if line["event"] == "request")
    assert (line["status"], line["episode_id"], line["cost"]) == (200, its["episode_id"], its["cost"])
    assert line["route"] == ",".join(its["route"])
    assert queries[0].text not in json.dumps(lines)
