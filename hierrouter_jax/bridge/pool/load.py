"""Pools and prompts from their YAML files."""

from dataclasses import fields
from pathlib import Path

from hierrouter_jax.bridge.pool.config import ModelConfig, PoolConfig
from hierrouter_jax.bridge.prompts import HopPrompt
from hierrouter_jax.config import config_path, from_dict, load_yaml
from hierrouter_jax.errors import InputError, nearest


def load_pool(path: Path) -> PoolConfig:
    """Read a pool from YAML; a `prompt` given by name is that preset of `configs/prompt`.

    Raises:
      InputError: naming the file and the field that is unknown, missing, mistyped or refused, or a member that the
        prompt speaks of and that there is not.
    """
    settings = load_yaml(path)
    if isinstance(settings.get("prompt"), str):
        settings["prompt"] = _prompt_preset(settings["prompt"], path)
    pool = from_dict(PoolConfig, settings, path)
    names = sorted(model.name for model in (*pool.models, *pool.external))
    for name in pool.prompt.members:
        if name not in names:
            raise InputError(f"{path}: prompt.members: {name!r} is no member; {nearest(name, names)}")
        _check_control(pool, name, f"{path}: prompt.members.{name}.fresh")
    return pool


def load_prompt(path: Path) -> HopPrompt:
    """Read the layout of a hop's prompt from YAML.

    Raises:
      InputError: naming the file and the field that is unknown, mistyped or refused.
    """
    return from_dict(HopPrompt, load_yaml(path), path)


def _prompt_preset(name: str, where: Path) -> dict:
    presets = {path.stem: path for path in config_path("prompt/paper.yaml").parent.glob("*.yaml")}
    if name not in presets:
        raise InputError(f"{where}: prompt: {name!r} is no preset; {nearest(name, sorted(presets))}")
    return load_yaml(presets[name])


def _check_control(pool: PoolConfig, name: str, where: str) -> None:
    """Refuse a control that is another model than the member it is to be compared with; it may sample otherwise."""
    reader = pool.prompt.members[name].fresh
    if reader is None:
        return
    models = {model.name: model for model in (*pool.models, *pool.external)}
    readers = sorted(model.name for model in pool.models if model.name != name)
    if reader not in readers:
        raise InputError(f"{where}: {reader!r} is no other member of the pool; {nearest(reader, readers)}")
    if pool.prompt.of(reader).responses == "none":
        raise InputError(f"{where}: {reader!r} reads no response either, so the two cannot be told apart")
    one, other = models[name], models[reader]
    for field in fields(ModelConfig):
        if field.name not in ("name", "sampling") and getattr(one, field.name) != getattr(other, field.name):
            raise InputError(
                f"{where}: {name!r} and {reader!r} must be one model, but {field.name} is "
                f"{getattr(one, field.name)!r} and {getattr(other, field.name)!r}"
            )
