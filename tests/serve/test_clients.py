"""Other clients, unchanged: LangChain's, curl, and OpenAI's asynchronous one."""

import asyncio
import json
import shutil
import subprocess

import openai
import pytest
from langchain_openai import ChatOpenAI


@pytest.fixture
def served(start):
    return start()


def test_langchain(served, queries):
    model = ChatOpenAI(model="hierrouter", base_url=f"{served.url}/v1", api_key="none", max_retries=0)
    for query in queries:
        mine = served.router.route(query.text)
        reply = model.invoke(query.text)
        assert reply.content == mine.answer
        assert reply.usage_metadata["output_tokens"] == mine.tokens_out
        assert "".join(chunk.content for chunk in model.stream(query.text)) == mine.answer


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_with_headers(served, queries):
    mine = served.router.route(queries[0].text)
    body = json.dumps({"messages": [{"role": "user", "content": queries[0].text}]})
    options = ["-s", "-i", "-H", "Content-Type: application/json", "-d", body]
    said = subprocess.run(["curl", *options, f"{served.url}/v1/chat/completions"], capture_output=True, text=True)
    head, _, answer = said.stdout.replace("\r\n", "\n").partition("\n\n")
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
    assert headers["x-hierrouter-route"] == ",".join(mine.route)
    assert float(headers["x-hierrouter-cost"]) == mine.cost
    assert float(headers["x-hierrouter-overhead-ms"]) >= 0
    assert headers["x-hierrouter-episode-id"] == json.loads(answer)["hierrouter"]["episode_id"]


def test_many_at_once(served, queries):
    texts = [f"{query.text}{' Now.' * number}" for query in queries for number in range(8)]

    async def all_at_once():
        async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as client:
            ask = client.chat.completions.create
            turns = ([{"role": "user", "content": text}] for text in texts)
            return await asyncio.gather(*(ask(model="auto", messages=messages) for messages in turns))

    mine = served.router.route_many(texts, progress=False)
    for reply, transcript in zip(asyncio.run(all_at_once()), mine, strict=True):
        assert reply.choices[0].message.content == transcript.answer
        assert reply.hierrouter["route"] == list(transcript.route)


def test_the_models_are_the_router_and_its_members(served):
    client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="none")
    assert [model.id for model in client.models.list()] == ["hierrouter", "auto", "reader", "calculator", "speller"]
    turns = [{"role": "user", "content": "The number is 41. In words."}]
    alone = client.chat.completions.create(model="speller", messages=turns)
    assert alone.choices[0].message.content == "forty-one"
    assert alone.hierrouter["route"] == ["speller"]
