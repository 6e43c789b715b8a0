"""What XLA is told of the processor."""

import pytest

from hierrouter_jax import processor


@pytest.mark.parametrize(
    ("described", "before", "after"),
    [
        ("flags : avx2 avx512f", None, processor.WIDE_VECTORS),
        ("flags : avx2 avx512f", "--xla_other=1", f"{processor.WIDE_VECTORS} --xla_other=1"),
        ("flags : avx2 avx512f", "--xla_cpu_prefer_vector_width=128", "--xla_cpu_prefer_vector_width=128"),
        ("flags : avx2", None, None),
        (None, None, None),
    ],
)
def test_vectors_are_wide_where_the_processor_has_them(monkeypatch, tmp_path, described, before, after):
    monkeypatch.setattr(processor, "_CPU_INFO", tmp_path / "cpuinfo")
    if described:
        (tmp_path / "cpuinfo").write_text(described)
    environment = {} if before is None else {"XLA_FLAGS": before}
    monkeypatch.setattr(processor.os, "environ", environment)
    processor.use_wide_vectors()
    assert environment.get("XLA_FLAGS") == after
