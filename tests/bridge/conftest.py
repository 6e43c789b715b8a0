"""Real tiny random language models, and programmed backends that count their calls."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM
from transformers import PreTrainedTokenizerFast as FastTokenizer

from hierrouter_jax.bridge.backends import Generation
from hierrouter_jax.bridge.cache import CallCache
from hierrouter_jax.bridge.collect import collect
from hierrouter_jax.bridge.grading import exact_match, one_by_one
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.bundle import FeatureReduction, PolicyBundle
from hierrouter_jax.hop_tree import HopTree
from hierrouter_jax.outcomes.ngrams import NGramEncoder
from hierrouter_jax.outcomes.pricing import PricedModel
from hierrouter_jax.outcomes.table import OutcomeTable, Query
from hierrouter_jax.tiny.arithmetic import EXPRESSION, number_words, reduce_leftmost
from tests.bridge.endpoints import FakeServer

CHARACTERS = ["<pad>", "<unk>", "\n", *map(chr, range(32, 127))]
SIZES = {
    "vocab_size": len(CHARACTERS),
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.5,
}
# Several end tokens, so that random models end some of their responses early.
END_TOKENS = [2, *range(80, 90)]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory) -> Callable[..., Path]:
    """Makes a folder with a random model of an architecture and a character tokenizer."""

    def make(architecture: str = "llama", seed: int = 0) -> Path:
        folder = tmp_path_factory.mktemp(f"{architecture}-{seed}")
        torch.manual_seed(seed)
        if architecture == "llama":
            model = LlamaForCausalLM(LlamaConfig(**SIZES, bos_token_id=None, eos_token_id=2, pad_token_id=0))
        else:
            config = MistralConfig(**SIZES, sliding_window=16, bos_token_id=None, eos_token_id=2, pad_token_id=0)
            model = MistralForCausalLM(config)
        # A penalty that greedy decoding by this package must not obey.
        model.generation_config = GenerationConfig(eos_token_id=END_TOKENS, pad_token_id=0, repetition_penalty=3.0)
        model.save_pretrained(folder)
        _character_tokenizer().save_pretrained(folder)
        return folder

    return make


def _character_tokenizer() -> FastTokenizer:
    tokenizer = Tokenizer(models.WordLevel({c: i for i, c in enumerate(CHARACTERS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return FastTokenizer(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", eos_token="\n")


class Killed(Exception):
    """The process dies in the middle of a batch."""


class ProgrammedBackend:
    """Answers by a rule; `asked` holds every prompt it answered, batch by batch. A token is a character."""

    parameters = None
    max_new_tokens = 60
    positions = None

    def __init__(self, name: str, rule: Callable[[str], str], price: float = 1.0) -> None:
        self.name, self.identity, self._rule = name, f"programmed/{name}", rule
        self.price = PricedModel(name, price, 2 * price, max_new_tokens=self.max_new_tokens)
        self.asked: list[list[str]] = []
        self.survives = float("inf")

    def count_tokens(self, prompts: Sequence[str]) -> list[int]:
        return [len(prompt) for prompt in prompts]

    def generate(self, prompts: Sequence[str]) -> list[Generation]:
        if len(self.asked) == self.survives:
            raise Killed
        self.asked.append(list(prompts))
        return [self.answer(prompt) for prompt in prompts]

    def answer(self, prompt: str) -> Generation:
        text = self._rule(prompt)
        assert len(text) < self.max_new_tokens
        return Generation(text, len(prompt), len(text) + 1, "length" if len(text) > 12 else "stop", 0.25)


def read(prompt: str) -> str:
    """The reader: finds the expression or number, and repeats a response."""
    query, *responses = prompt.splitlines()
    return responses[-1] if responses else re.findall(r"\d[-+*\d]*", query)[0]


def calculate(prompt: str) -> str:
    """The calculator: reduces the last expression, and damages a bare number."""
    last = re.findall(r"\d[-+*\d]*", prompt)[-1]
    return reduce_leftmost(last) if EXPRESSION.fullmatch(last) else last + "0"


def spell(prompt: str) -> str:
    """The speller: the last number in words."""
    return number_words(int(re.findall(r"\d+", prompt)[-1]))


@pytest.fixture
def backends() -> list[ProgrammedBackend]:
    rules = {"reader": read, "calculator": calculate, "speller": spell}
    return [ProgrammedBackend(name, rule, price) for (name, rule), price in zip(rules.items(), (3, 2, 1), strict=True)]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """An endpoint of this process; its rule says what it answers."""
    fake = FakeServer()
    yield fake
    fake.stop()


@pytest.fixture
def programmed() -> type[ProgrammedBackend]:
    return ProgrammedBackend


@pytest.fixture
def killed() -> type[Killed]:
    return Killed


@pytest.fixture
def queries() -> list[Query]:
    """Two of them read the same, so that their calls are shared."""
    texts = {
        "Compute 12+7-5. In digits.": "14",
        "What is 3*4? Spell it.": "twelve",
        "The number is 41. In words.": "forty-one",
        "Give 8-3 as a formula.": "8-3",
    }
    rows = [Query(f"q{row}", text, "task", gold, "test") for row, (text, gold) in enumerate(texts.items())]
    return [*rows, Query("again", rows[0].text, "task", rows[0].gold, "test")]


@pytest.fixture
def run_small() -> Callable[..., OutcomeTable]:
    """Collects two training queries, `one` and `two`, whose right answer is `ok`."""

    def run(backends: Sequence[ProgrammedBackend], tree: HopTree) -> OutcomeTable:
        asked = [Query(text, text, "task", "ok", "train") for text in ("one", "two")]
        parts = asked, backends, tree, NGramEncoder(size=8), HopPrompt(), one_by_one(exact_match), CallCache(None)
        return collect(*parts, progress=False)

    return run


@pytest.fixture
def encoder() -> NGramEncoder:
    return NGramEncoder(size=16)


@pytest.fixture
def make_bundle(encoder) -> Callable[..., PolicyBundle]:
    """Makes policies with random weights, large enough for their choices to differ from context to context."""

    def make(
        pool: Sequence[PricedModel], horizon: int, conditions: dict[str, list[float]] | None = None, seed: int = 7
    ) -> PolicyBundle:
        rng, told = np.random.default_rng(seed), conditions or {}
        shapes = {
            "stage_embedding": (horizon, 2),
            "hidden_0/kernel": (4 + 2 + 1 + len(told), 8),
            "hidden_0/bias": (8,),
            "logits/kernel": (8, len(pool) + 1),
            "logits/bias": (len(pool) + 1,),
        }
        return PolicyBundle(
            pool=tuple(pool),
            horizon=horizon,
            allow_stop=True,
            encoder=encoder.spec,
            money_unit="price units",
            cost_normaliser=100.0,
            reduction=FeatureReduction(np.zeros(16), rng.normal(size=(16, 4)) * 9, np.ones(4)),
            weights={name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()},
            table_fingerprint="",
            provenance={},
            conditions=told,
            cost_weight=0.02,
        )

    return make
