"""The environment of an endpoint's client: proxies, certificates and keys, each wrong one a sentence."""

import os
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from hierrouter_jax.bridge.pool import Endpoint
from hierrouter_jax.errors import InputError

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_SCHEMES = ("http", "https", "socks5", "socks5h")


def check_environment() -> None:
    """Refuse what no client could be made with.

    Raises:
      InputError: naming the variable, but not its value, which may hold a password.
    """
    for upper in _PROXIES:
        for variable in (upper, upper.lower()):
            if value := os.environ.get(variable, "").strip():
                _check_proxy(variable, value)
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        if value := os.environ.get(variable, ""):
            _check_certificates(variable, value)


def no_client(url: str, error: Exception) -> InputError:
    """Why no client can be made, though all that was looked at is in order."""
    variable = "SSL_CERT_FILE"
    if isinstance(error, OSError) and os.environ.get(variable):
        return InputError(
            f"the environment variable {variable} names {os.environ[variable]}, which holds no certificates ({error})"
        )
    return InputError(f"no client for {url} can be made here ({error!r})")


def read_key(name: str, endpoint: Endpoint) -> str | None:
    """The key that an endpoint's variable holds; None where none is named.

    Raises:
      InputError: if the variable is empty, or holds what cannot be sent.
    """
    variable = endpoint.api_key_env
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise InputError(f"model {name!r}: the environment variable {variable} holds no key")
    for place, character in enumerate(key, start=1):
        if not "!" <= character <= "~":
            raise InputError(
                f"model {name!r}: the environment variable {variable} holds no key that can be sent: character {place} "
                f"of {len(key)} is {_named(character)}; copy the key again, without quotes"
            )
    return key


def _check_proxy(variable: str, value: str) -> None:
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise InputError(f"the environment variable {variable} names no proxy that can be used ({error})") from None
    if parts.scheme not in _SCHEMES or not host or port == 0:
        raise InputError(
            f"the environment variable {variable} names no proxy that can be used: an address such as "
            f"http://proxy.example:8080 is, of scheme {', '.join(_SCHEMES)}"
        )
    if parts.scheme.startswith("socks") and find_spec("socksio") is None:
        raise InputError(
            f"the environment variable {variable} names a SOCKS proxy, which needs a package: pip install socksio, or "
            "unset the variable"
        )


def _check_certificates(variable: str, value: str) -> None:
    path = Path(value)
    if not (path.is_file() if variable == "SSL_CERT_FILE" else path.is_dir()):
        raise InputError(f"the environment variable {variable} names {value}, which is not there; unset or mend it")


def _named(character: str) -> str:
    if character.isascii():
        return "a space" if character == " " else f"the control character {ord(character)}"
    return f"{character!r}, which is no ASCII"
