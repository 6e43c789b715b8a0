"""A GGUF file of a few kilobytes, with a byte-level tokenizer, a chat template, and an output matrix of its own."""

from pathlib import Path

import numpy as np
from gguf import GGUFWriter, TokenType
from transformers.convert_slow_tokenizer import bytes_to_unicode

WIDTH, INNER, LAYERS, HEADS = 8, 16, 1, 2
TEMPLATE = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[A]{% endif %}"
)
TOKENS = [*bytes_to_unicode().values(), "ab", "Ġab", "<|end|>"]


def write_gguf(path: Path, tied: bool = False, seed: int = 0) -> Path:
    """A Qwen2 model; with its output matrix stored apart unless `tied`."""
    writer = GGUFWriter(path, "qwen2")
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(TOKENS)
    writer.add_token_types([TokenType.NORMAL] * (len(TOKENS) - 1) + [TokenType.CONTROL])
    writer.add_token_merges(["a b", "Ġ ab"])
    writer.add_eos_token_id(len(TOKENS) - 1)
    writer.add_chat_template(TEMPLATE)
    rng = np.random.default_rng(seed)
    for name, shape in _shapes(tied).items():
        writer.add_tensor(name, rng.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def num_parameters(tied: bool) -> int:
    return sum(int(np.prod(shape)) for shape in _shapes(tied).values())


def _shapes(tied: bool) -> dict[str, tuple[int, ...]]:
    square, inner = (WIDTH, WIDTH), (INNER, WIDTH)
    block = {"attn_norm.weight": (WIDTH,), "ffn_norm.weight": (WIDTH,), "attn_output.weight": square}
    for part in "qkv":
        block |= {f"attn_{part}.weight": square, f"attn_{part}.bias": (WIDTH,)}
    block |= {"ffn_up.weight": inner, "ffn_gate.weight": inner, "ffn_down.weight": (WIDTH, INNER)}
    whole = {"token_embd.weight": (len(TOKENS), WIDTH), "output_norm.weight": (WIDTH,)}
    return (
        whole
        | {f"blk.0.{name}": shape for name, shape in block.items()}
        | ({} if tied else {"output.weight": (len(TOKENS), WIDTH)})
    )
