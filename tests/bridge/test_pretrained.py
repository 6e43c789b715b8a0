"""Code that a model's files ask to run: never without the pool's word, never after a question."""

import ast
import builtins
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import dynamic_module_utils

from hierrouter_jax.bridge.backends import load_backends
from hierrouter_jax.bridge.encoders import build_encoder
from hierrouter_jax.bridge.forecast import load_assumptions
from hierrouter_jax.bridge.forecast.sizes import model_size, token_counter
from hierrouter_jax.bridge.pool import Endpoint, ModelConfig, PoolConfig
from hierrouter_jax.bridge.pretrained import padding_tokenizer
from hierrouter_jax.bridge.tokenizers import TokenizerCounter
from hierrouter_jax.config import config_path
from hierrouter_jax.errors import InputError
from tests.bridge.hub import Hub, serve

ROOT = Path(__file__).parents[2]
DOOR = ROOT / "hierrouter_jax" / "bridge" / "pretrained.py"
MARK = "from pathlib import Path\nPath({mark!r}).write_text('ran')\n"
CONFIG_CLASS = "from transformers import LlamaConfig\nclass C(LlamaConfig):\n    model_type = 'homemade'\n"
MODEL_CLASS = (
    "from transformers import LlamaForCausalLM\nfrom .own import C\nclass M(LlamaForCausalLM):\n    config_class = C\n"
)
OWN = {"AutoConfig": "own.C", "AutoModelForCausalLM": "models.M", "AutoModel": "models.M"}
ASSUMPTIONS = load_assumptions(config_path("assumptions/h100.yaml"))


@pytest.fixture
def mark(tmp_path, monkeypatch) -> Path:
    """The file that a folder's code writes when it runs; a question on the way fails the test."""

    def ask(question: object = "") -> str:
        raise AssertionError(f"a question was asked: {question}")

    monkeypatch.setattr(builtins, "input", ask)
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path / "RAN"


def hostile(
    folder: Path, at: Path, mark: Path, file: str = "config.json", own: object = OWN, kind: str = "homemade"
) -> Path:
    """A copy of a model folder with code of its own, one of whose configs names it."""
    shutil.copytree(folder, at)
    (at / "own.py").write_text(MARK.format(mark=str(mark)) + CONFIG_CLASS)
    (at / "models.py").write_text(MARK.format(mark=str(mark)) + MODEL_CLASS)
    change(at / "config.json", model_type=kind)
    change(at / file, auto_map=own)
    return at


def change(file: Path, **fields: object) -> None:
    settings = json.loads(file.read_text()) if file.is_file() else {}
    file.write_text(json.dumps(settings | fields))


def member(folder: Path, **fields: Any) -> PoolConfig:
    return PoolConfig((ModelConfig("mine", str(folder), **{"max_new_tokens": 4, "base_rate": 1.0} | fields),))


LOADERS = {
    "a pool's model": lambda folder: load_backends(member(folder)),
    "an endpoint": lambda folder: load_backends(
        member(folder, kind="openai", endpoint=Endpoint("http://127.0.0.1:9/v1", "mine"))
    ),
    "an encoder of transformers": lambda folder: build_encoder({"kind": "transformers", "source": str(folder)}),
    "an encoder of sentences": lambda folder: build_encoder({"kind": "sentence-transformers", "source": str(folder)}),
    "a counter of tokens": lambda folder: TokenizerCounter(str(folder)),
    "a forecast": lambda folder: model_size("mine", str(folder), ASSUMPTIONS),
}


@pytest.mark.parametrize("loader", LOADERS)
def test_every_reader_refuses_a_folder_that_names_code(model_folder, tmp_path, mark, loader):
    folder = hostile(model_folder(), tmp_path / "hostile", mark)
    with pytest.raises(InputError, match=r"hostile: its config.json asks to run code of its own \(auto_map: .*own.C"):
        LOADERS[loader](folder)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("file", "own", "kind"),
    [
        ("config.json", OWN, "homemade"),
        ("config.json", OWN, "llama"),
        ("config.json", {"AutoConfig": "own.C"}, "homemade"),
        ("config.json", {"AutoModelForCausalLM": "models.M"}, "llama"),
        ("config.json", {"AutoConfig": "someone/else--own.C"}, "homemade"),
        ("config.json", "own.C", "llama"),
        ("config.json", ["own.C"], "llama"),
        ("tokenizer_config.json", {"AutoTokenizer": ["own.C", None]}, "llama"),
        ("tokenizer_config.json", {"AutoTokenizer": [None, "own.C"]}, "llama"),
        ("processor_config.json", {"AutoProcessor": "own.C"}, "llama"),
        ("preprocessor_config.json", {"AutoImageProcessor": "own.C"}, "llama"),
    ],
)
def test_code_is_refused_whichever_file_names_it(model_folder, tmp_path, mark, file, own, kind):
    folder = hostile(model_folder(), tmp_path / "hostile", mark, file, own, kind)
    with pytest.raises(InputError, match=f"^model 'mine': .*hostile: its {file} asks to run") as caught:
        load_backends(member(folder))
    assert "trust_remote_code: true" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not mark.exists()


def test_a_config_inside_a_config_can_name_code_too(model_folder, tmp_path, mark):
    folder = hostile(model_folder(), tmp_path / "hostile", mark, own=None, kind="llama")
    change(folder / "config.json", text_config={"auto_map": {"AutoConfig": "own.C"}})
    with pytest.raises(InputError, match="asks to run code of its own"):
        load_backends(member(folder))


@pytest.mark.parametrize("own", [{}, []])
def test_code_that_nobody_names_lies_there_unread(model_folder, tmp_path, mark, own):
    folder = hostile(model_folder(), tmp_path / "harmless", mark, own=own, kind="llama")
    (answer,) = load_backends(member(folder))[0].generate(["ab?\n"])
    assert answer.tokens_in == 4
    assert not mark.exists()


def test_code_of_a_trusted_folder_runs_and_is_part_of_the_model(model_folder, tmp_path, mark):
    folder = hostile(model_folder(seed=5), tmp_path / "trusted", mark)
    (backend,) = load_backends(member(folder, trust_remote_code=True))
    assert mark.read_text() == "ran"
    (plain,) = load_backends(member(model_folder(seed=5)))
    assert [g.text for g in backend.generate(["ab?\n"])] == [g.text for g in plain.generate(["ab?\n"])]
    assert model_size("mine", str(folder), ASSUMPTIONS, trust=True).parameters == backend.parameters
    before = backend.identity
    (folder / "models.py").write_text((folder / "models.py").read_text() + "\n# another program\n")
    assert load_backends(member(folder, trust_remote_code=True))[0].identity != before


def test_a_forecast_estimates_the_tokens_of_a_tokenizer_that_it_may_not_run(model_folder, tmp_path, mark):
    folder = hostile(model_folder(), tmp_path / "hostile", mark)
    count, exact = token_counter(str(folder), ASSUMPTIONS)
    assert not exact
    assert count(["four"])[0] == pytest.approx(4 / ASSUMPTIONS.characters_per_token)


def test_one_module_calls_from_pretrained():
    """Every other call would ask its question, or run code, in a place where nobody looks."""
    calls = {}
    for file in sorted((ROOT / "hierrouter_jax").rglob("*.py")) + sorted((ROOT / "scripts").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in _CALLS:
                told = {word.arg: word.value for word in node.keywords}.get("trust_remote_code")
                calls.setdefault(file, []).append(told is not None)
    inside = {file for file in calls if file.is_relative_to(ROOT / "hierrouter_jax")}
    assert inside <= {DOOR, ROOT / "hierrouter_jax" / "bridge" / "pool" / "source.py"}
    assert all(all(told) for told in calls.values()), "a call leaves trust_remote_code to a question"
    assert DOOR.read_text().count("trust_remote_code=trust") == 1


# The calls of transformers and sentence-transformers that may run code of a model's own.
_CALLS = {".from_pretrained", ".from_config", "SentenceTransformer", "CrossEncoder", "pipeline"}


def _name(function: ast.expr) -> str:
    return f".{function.attr}" if isinstance(function, ast.Attribute) else getattr(function, "id", "")


ELSEWHERE = """
import sys
from pathlib import Path
from hierrouter_jax.bridge.backends import load_backends
from hierrouter_jax.bridge.pool import load_pool
from hierrouter_jax.errors import InputError
try:
    load_backends(load_pool(Path(sys.argv[1])))
except InputError as error:
    print(error)
"""


def test_a_model_of_the_hub_is_refused_before_its_code_is_fetched(model_folder, tmp_path, mark):
    folder = hostile(model_folder(), tmp_path / "hostile", mark)
    hub = Hub({"models/mine/hostile": {path.name: path.read_bytes() for path in folder.iterdir()}})
    server = serve(hub)
    (tmp_path / "pool.yaml").write_text("models: [{name: a, source: mine/hostile, max_new_tokens: 4, base_rate: 1}]\n")
    try:
        done = subprocess.run(
            [sys.executable, "-c", ELSEWHERE, str(tmp_path / "pool.yaml")],
            env=hub.environment(tmp_path),
            input="y\ny\ny\n",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("model 'a': mine/hostile: its config.json asks to run code of its own"), done.stdout
    assert not mark.exists()
    assert not any(path.endswith(".py") for path in hub.asked)


def test_a_tokenizer_without_padding_gets_its_end_token_or_else_the_first_one(model_folder, tmp_path):
    folder = model_folder()
    assert padding_tokenizer(folder, "left").pad_token == "<pad>"
    for end, token in ({"eos_token": "\n"}, "\n"), ({}, "<pad>"):
        shutil.copytree(folder, tmp_path / token.strip("<>\n") / "model")
        path = tmp_path / token.strip("<>\n") / "model" / "tokenizer_config.json"
        settings = json.loads(path.read_text())
        path.write_text(json.dumps({name: value for name, value in settings.items() if "_token" not in name} | end))
        tokenizer = padding_tokenizer(path.parent, "right")
        assert (tokenizer.pad_token, tokenizer.padding_side) == (token, "right")
