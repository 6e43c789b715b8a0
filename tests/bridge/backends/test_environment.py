"""The environment of an endpoint's client: what is wrong is one sentence, which tells no secret."""

import pytest

from hierrouter_jax.bridge.backends import load_backends
from hierrouter_jax.bridge.pool import Endpoint, ModelConfig, PoolConfig
from hierrouter_jax.errors import InputError

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def _bare(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def load(**endpoint):
    at = Endpoint("http://127.0.0.1:9/v1", "m", **endpoint)
    config = ModelConfig("model", max_new_tokens=9, kind="openai", endpoint=at, base_rate=1.0)
    return load_backends(PoolConfig((config,)))[0]


PROXIES = [
    ("HTTP_PROXY", "http://user:secret@proxy:port"),
    ("http_proxy", "http://secret:99999"),
    ("HTTPS_PROXY", "http://secret:-1"),
    ("https_proxy", "ftp://secret:80"),
    ("ALL_PROXY", "socks://secret:1080"),
    ("all_proxy", "socks4://secret:1080"),
    ("ALL_PROXY", "http://"),
    ("ALL_PROXY", "http://[::1"),
    ("HTTP_PROXY", "secret:port"),
    ("HTTPS_PROXY", "http://secret:0"),
]


@pytest.mark.parametrize(("variable", "value"), PROXIES)
def test_a_proxy_that_is_none_is_named_by_its_variable(monkeypatch, variable, value):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv(variable, value)
    with pytest.raises(InputError, match=f"environment variable {variable} names no proxy that can be used") as caught:
        load()
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["socks5://127.0.0.1:9", "socks5h://proxy:1080"])
def test_a_socks_proxy_needs_its_package(monkeypatch, value):
    monkeypatch.setenv("ALL_PROXY", value)
    monkeypatch.setattr("hierrouter_jax.bridge.backends.refusals.find_spec", lambda name: None)
    with pytest.raises(InputError, match="ALL_PROXY names a SOCKS proxy, which needs a package: pip install socksio"):
        load()


@pytest.mark.parametrize("value", ["http://proxy:3128", "proxy:3128", "https://user:secret@proxy", "", " "])
def test_a_proxy_that_can_be_used_is_left_alone(monkeypatch, value):
    monkeypatch.setenv("HTTP_PROXY", value)
    assert load().name == "model"


def test_certificates_that_are_not_there_are_named(monkeypatch, tmp_path):
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        with monkeypatch.context() as changed:
            changed.setenv(variable, str(tmp_path / "gone"))
            with pytest.raises(InputError, match=f"variable {variable} names {tmp_path / 'gone'}, which is not there"):
                load()
    (tmp_path / "empty").write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "empty"))
    with pytest.raises(InputError, match=r"SSL_CERT_FILE names .*empty, which holds no certificates"):
        load()


KEYS = [
    ("sk-\u201cabc\u201d", "character 4 of 8 is '\u201c', which is no ASCII"),
    ("sk-abc\ndef", "character 7 of 10 is the control character 10"),
    ("sk abc", "character 3 of 6 is a space"),
    ("clé", "character 3 of 3 is 'é', which is no ASCII"),
    ("sk-\tabc", "character 4 of 7 is the control character 9"),
    ("sk\u200b-abc", "character 3 of 7 is"),
    ("sk-abc\x7f", "character 7 of 7 is the control character 127"),
    ("\u00a0 sk", None),
    ("\n", "holds no key"),
    ("Bearer abc", "character 7 of 10 is a space"),
]


@pytest.mark.parametrize(("key", "words"), KEYS)
def test_a_key_that_cannot_be_sent_says_where_but_not_what_it_is(monkeypatch, key, words):
    monkeypatch.setenv("MY_KEY", key)
    if words is None:
        assert load(api_key_env="MY_KEY").name == "model"  # blanks around a key are none of it
        return
    with pytest.raises(InputError, match="model 'model': the environment variable MY_KEY holds no key") as caught:
        load(api_key_env="MY_KEY")
    assert words in str(caught.value)
    assert "abc" not in str(caught.value)
