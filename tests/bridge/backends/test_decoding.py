"""Sampling, stop strings, chat templates, memory: what a call depends on, and what it does not."""

import hashlib
import math
import shutil
from collections import Counter

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from hierrouter_jax.bridge.backends import decoding, load_backends
from hierrouter_jax.bridge.backends.decoding import NOTHING, draws, sample
from hierrouter_jax.bridge.backends.transformers import TransformersBackend
from hierrouter_jax.bridge.backends.transformers import decode as real_decode
from hierrouter_jax.bridge.pool import ModelConfig, PoolConfig, Sampling
from hierrouter_jax.bridge.prompts import cut, digest_of_call
from hierrouter_jax.errors import InputError
from hierrouter_jax.outcomes.table import Turn
from tests.bridge.conftest import CHARACTERS

PROMPTS = [f"{'ab? c' * (row % 4)}{row}\n" for row in range(9)]
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<a>{% endif %}"
)
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + TEMPLATE


@pytest.fixture(scope="module")
def folder(model_folder):
    return model_folder(seed=3)


def config(source, **changes) -> ModelConfig:
    return ModelConfig("model", str(source), **{"max_new_tokens": 10, "base_rate": 1.0} | changes)


def backend(source, **changes) -> TransformersBackend:
    return TransformersBackend(config(source, **changes), PoolConfig((config(source),)))


def with_template(folder, place, template):
    shutil.copytree(folder, place)
    tokenizer = AutoTokenizer.from_pretrained(place)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(place)
    return place


def test_a_draw_is_an_inversion_by_hand():
    """Shares .5, .3 and .2: the first up to .5, the second up to .8; top_p .6 keeps two, top_k 1 the first."""
    logits = torch.log(torch.tensor([[0.2, 0.5, 0.3]])).repeat(4, 1)
    uniform = torch.tensor([0.0, 0.49, 0.51, 0.81])
    assert sample(logits, Sampling(1.0), uniform).tolist() == [1, 1, 2, 0]
    assert sample(logits, Sampling(1.0, top_p=0.6), uniform).tolist() == [1, 1, 1, 2]
    assert sample(logits, Sampling(1.0, top_k=1), uniform).tolist() == [1, 1, 1, 1]


def test_draws_have_the_right_shares():
    logits = torch.log(torch.tensor([[0.1, 0.6, 0.3]])).repeat(4000, 1)
    uniform = torch.rand(4000, generator=torch.Generator().manual_seed(0))
    counts = Counter(sample(logits, Sampling(0.5), uniform).tolist())
    expected = [share**2 / 0.46 for share in (0.1, 0.6, 0.3)]  # temperature .5 squares the shares
    assert all(abs(counts[token] / 4000 - share) < 0.03 for token, share in enumerate(expected))


def test_a_sampled_call_depends_on_its_prompt_and_seed_only(folder, monkeypatch):
    hot = Sampling(0.8, top_p=0.95, seed=1)
    together = backend(folder, sampling=hot).generate(PROMPTS)
    alone = [backend_.generate([prompt])[0] for backend_ in [backend(folder, sampling=hot)] for prompt in PROMPTS[::-1]]
    assert [g.text for g in together] == [g.text for g in alone[::-1]]
    assert [g.text for g in backend(folder, sampling=Sampling(0.8, top_p=0.95, seed=2)).generate(PROMPTS)] != [
        g.text for g in together
    ]
    monkeypatch.setattr(decoding, "keeps_only_keys_and_values", lambda model: False)
    assert [g.text for g in backend(folder, sampling=hot).generate(PROMPTS)] == [g.text for g in together]
    assert draws(PROMPTS, Sampling(), 4) is None


def test_logprob_is_that_of_the_generated_tokens(folder):
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    (got,) = backend(folder).generate(PROMPTS[:1])
    ids = tokenizer(PROMPTS[0], return_tensors="pt")["input_ids"]
    total = 0.0
    with torch.inference_mode():
        for _ in range(got.tokens_out):
            shares = model(ids).logits[0, -1].log_softmax(-1)
            total += float(shares.max())
            ids = torch.cat([ids, shares.argmax()[None, None]], dim=1)
    assert math.isclose(got.logprob, total, rel_tol=1e-4, abs_tol=1e-4)


@pytest.mark.parametrize("fast", [True, False])
def test_a_stop_string_ends_a_response_and_is_cut_off(folder, fast, monkeypatch):
    monkeypatch.setattr(decoding, "keeps_only_keys_and_values", lambda model: fast)
    free = backend(folder).generate(PROMPTS)
    longest = max(free, key=lambda g: len(g.text))
    stop = longest.text[2:4]
    stopped = backend(folder, stop=(stop,)).generate(PROMPTS)
    assert any(stop in g.text for g in free)
    for before, after in zip(free, stopped, strict=True):
        text, found, _ = before.text.partition(stop)
        assert after.text == text
        assert after.finish_reason == ("stop" if found else before.finish_reason)
        assert after.tokens_out == (len(text) + len(stop) if found else before.tokens_out)


def test_a_stop_string_that_is_a_special_token_ends_a_response_too(folder, monkeypatch):
    """The text leaves such a token out, so that nothing is cut off; a row that runs to the limit has met none."""
    written = torch.tensor([[40, 1, NOTHING], [40, 40, 40]])
    monkeypatch.setattr("hierrouter_jax.bridge.backends.transformers.decode", lambda *_: (written, torch.zeros(2)))
    answers = backend(folder, max_new_tokens=3, stop=("<unk>",)).generate(["a", "b"])
    letter = CHARACTERS[40]
    assert [answer[:4] for answer in answers] == [(letter, 1, 2, "stop"), (3 * letter, 1, 3, "length")]


def test_memory_that_does_not_suffice_halves_the_batch_for_good(folder, monkeypatch):
    sizes = []

    def short_of_memory(model, ids, mask, how):
        sizes.append(len(ids))
        if len(ids) > 2:
            raise torch.OutOfMemoryError
        return real_decode(model, ids, mask, how)

    member = backend(folder)
    expected = member.generate(PROMPTS)
    monkeypatch.setattr("hierrouter_jax.bridge.backends.transformers.decode", short_of_memory)
    assert [g[:4] for g in member.generate(PROMPTS)] == [g[:4] for g in expected]
    assert sizes == [9, 4, 2, 2, 2, 2, 1]
    assert len(member.generate(PROMPTS[:2])) == 2
    monkeypatch.setattr("hierrouter_jax.bridge.backends.transformers.decode", _never_enough)
    with pytest.raises(InputError, match=r"'model': one prompt of \d+ tokens does not fit the memory"):
        member.generate(PROMPTS)


def _never_enough(*_):
    raise torch.OutOfMemoryError


def test_chat_templates_and_system_prompts(folder, tmp_path):
    kind = with_template(folder, tmp_path / "kind", TEMPLATE)
    strict = with_template(folder, tmp_path / "strict", NO_SYSTEM)
    shots = (Turn("user", "1+1"), Turn("assistant", "2"), Turn("user", "2+2"))
    assert backend(kind, chat=True, system="Be.")._text("q") == "<system>Be.\n<user>q\n<a>"
    assert backend(strict, chat=True, system="Be.")._text("q") == "<user>Be.\n\nq\n<a>"
    assert backend(strict, chat=True)._text(shots) == "<user>1+1\n<assistant>2\n<user>2+2\n<a>"
    assert backend(kind)._text(shots) == "1+1\n\n2\n\n2+2"
    told = backend(kind, chat=True)
    assert told.count_tokens(["q"]) == [told.generate(["q"])[0].tokens_in] == [len("<user>q\n<a>")]
    with pytest.raises(InputError, match="'model': its tokenizer has no chat template; set chat: false"):
        backend(folder, chat=True)


def test_everything_that_changes_an_answer_is_in_the_identity(folder, tmp_path):
    kind = with_template(folder, tmp_path / "kind", TEMPLATE)
    variants = [
        {},
        {"chat": True},
        {"chat": True, "system": "Be."},
        {"stop": ("x",)},
        {"sampling": Sampling(0.5)},
        {"sampling": Sampling(0.5, seed=1)},
        {"sampling": Sampling(0.5, top_p=0.5)},
        {"max_new_tokens": 3},
    ]
    assert len({backend(kind, **variant).identity for variant in variants}) == len(variants)
    assert backend(kind, positions=100).identity == backend(kind).identity


def test_members_share_weights_and_one_model_at_a_time_is_kept(folder, model_folder):
    other = str(model_folder(seed=4))
    configs = [ModelConfig(n, s, 8, base_rate=1) for n, s in (("a", str(folder)), ("b", str(folder)), ("c", other))]
    one, two, _ = load_backends(PoolConfig(tuple(configs)))
    assert one._weights.get(configs[0], None, 0) is two._weights.get(configs[1], None, 0)
    one, two, three = load_backends(PoolConfig(tuple(configs), resident=False))
    kept = one._weights._loaded
    assert not kept
    first = one.generate(PROMPTS[:2])
    three.generate(PROMPTS[:2])
    assert len(kept) == 1
    assert [g.text for g in two.generate(PROMPTS[:2])] == [g.text for g in first]


def test_a_response_is_cut_at_the_first_stop_string():
    assert cut("one## two z#", ("z#", "##")) == "one"
    assert cut("none", ("##",)) == "none"


def test_draws_follow_from_seed_and_prompt_alone():
    """Another digest would change every sampled response."""
    assert digest_of_call(7, "a") == hashlib.sha256(b'7:"a"').digest()
    rows = draws(["a", "b", "a"], Sampling(1.0, seed=7), 3)
    assert rows.shape == (3, 3)
    assert torch.equal(rows[0], rows[2])
    assert not torch.equal(rows[0], rows[1])
    assert not torch.equal(rows[0], draws(["a"], Sampling(1.0, seed=8), 3)[0])
