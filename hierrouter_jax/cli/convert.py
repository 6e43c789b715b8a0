"""The verb `convert`: a GGUF file as a plain model folder."""

import json as jsonlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ConvertConfig:
    """A file to convert.

    Attributes:
      source: the GGUF file.
      folder: folder of the model, which is written.
      dtype: type of the weights: float32, bfloat16 or float16.
    """

    source: Path
    folder: Path
    dtype: str = "bfloat16"

    @property
    def written(self) -> Path:
        return self.folder


def convert(config: ConvertConfig, json: bool = False) -> None:
    """Turn a GGUF file into a plain folder that a pool, and any server of transformers models, can load."""
    from hierrouter_jax.bridge.tokenizers import write_plain_folder

    parameters = write_plain_folder(config.source, config.folder, config.dtype)
    written = {"folder": str(config.folder), "parameters": parameters, "dtype": config.dtype}
    print(jsonlib.dumps(written) if json else f"{config.folder}: {parameters:,} parameters in {config.dtype}")
