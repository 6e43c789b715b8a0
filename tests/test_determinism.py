"""The same seed gives the same numbers: in another process, on several devices, and with 64-bit types switched on."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
SAME = ("exact evaluation", "training", "evaluation", "statistics")  # whatever the number of devices
TOLERANCE = 1e-5  # of parameters and returns of a training that is spread over devices, whose sums have another order
WIDE_TOLERANCE = 1e-6  # of exact evaluation in 32 bits beside the same in 64; the values are about 1


def started(seed: int = 3, devices: int = 1, x64: str = "0", hash_seed: str = "1") -> subprocess.Popen:
    """A fresh process with so many virtual devices that computes the numbers."""
    environment = {
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "JAX_ENABLE_X64": x64,
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "JAX_PLATFORMS": "cpu",
        "PYTHONHASHSEED": hash_seed,
    }
    command = [sys.executable, "-m", "tests.determinism_worker", str(seed), str(devices)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=os.environ | environment, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)


def numbers(process: subprocess.Popen) -> dict[str, Any]:
    """What it computed."""
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-3000:]
    return json.loads(out)


def leaves(tree: Any) -> list[Any]:
    """All values of nested dictionaries and lists, in order."""
    if isinstance(tree, dict):
        return [leaf for name in sorted(tree) for leaf in [name, *leaves(tree[name])]]
    return [leaf for one in tree for leaf in leaves(one)] if isinstance(tree, list) else [tree]


def furthest(one: Any, other: Any) -> float:
    """The largest difference between the numbers of two results; anything else must be equal."""
    pairs = list(zip(leaves(one), leaves(other), strict=True))
    far = [abs(a - b) for a, b in pairs if isinstance(a, float) and isinstance(b, float)]
    assert all(a == b for a, b in pairs if not (isinstance(a, float) and isinstance(b, float)))
    return float(np.max(far))  # NaN where one is


def test_two_devices_and_another_process_compute_what_one_does():
    """Bit for bit, but for a training that is spread over the devices."""
    processes = started(), started(devices=2, hash_seed="2")
    one, two = map(numbers, processes)
    for name in SAME:
        assert two[name] == one[name], name
    assert furthest(one["spread training"], two["spread training"]) < TOLERANCE


@pytest.mark.extended
def test_64_bits_change_nothing_but_the_digits_of_exact_evaluation():
    one, wide = numbers(started()), numbers(started(x64="1"))
    for name in ("training", "evaluation", "spread training", "statistics"):
        assert wide[name] == one[name], name
    far = furthest(one["exact evaluation"], wide["exact evaluation"])
    assert 0 < far < WIDE_TOLERANCE, "the wide process is none, or 32 bits are too few"


@pytest.mark.extended
def test_eight_devices_and_the_same_process_again():
    one, eight = numbers(started()), numbers(started(devices=8))
    assert numbers(started()) == one
    for name in SAME:
        assert eight[name] == one[name], name
    far = furthest(one["spread training"], eight["spread training"])
    print("furthest on eight devices:", far)
    assert far < TOLERANCE


@pytest.mark.extended
def test_another_seed_gives_other_numbers():
    """The planted fault: numbers that do not depend on the seed would pass the tests above."""
    one, other = numbers(started()), numbers(started(seed=4))
    for name in one:
        assert one[name] != other[name], name


def test_a_difference_is_seen():
    assert furthest({"a": [1.0, {"b": 2.0}]}, {"a": [1.0, {"b": 2.5}]}) == 0.5
    with pytest.raises(AssertionError):
        furthest({"a": [1.0, True]}, {"a": [1.0, False]})
    assert np.isnan(furthest([float("nan")], [1.0]))
