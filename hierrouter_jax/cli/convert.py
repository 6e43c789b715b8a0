"""The verb `convert`: a GGUF file as a plain model folder."""

import json as jsonlib
from pathlib import Path

from hierrouter_jax.bridge.tokenizers import write_plain_folder

WRITES = {"convert": lambda options: options["folder"]}  # verb: the folder, by its options


def convert(source: Path, folder: Path, dtype: str = "bfloat16", json: bool = False) -> None:
    """Turn a GGUF file into a plain folder that a pool, and any server of transformers models, can load.

    Args:
      source: the GGUF file.
      folder: that is written.
      dtype: of the weights: float32, bfloat16 or float16.
      json: print for machines.
    """
    parameters = write_plain_folder(source, folder, dtype)
    written = {"folder": str(folder), "parameters": parameters, "dtype": dtype}
    print(jsonlib.dumps(written) if json else f"{folder}: {parameters:,} parameters in {dtype}")
