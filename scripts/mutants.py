"""Draws small faults to plant in the code, and writes them down for `scripts.mutate`.

    python -m scripts.mutants runs/mutate/sample.jsonl --size 600 --seed 0

It needs cosmic-ray, and nothing else: `make mutate` keeps it apart from the libraries of the package. A fault in a type
annotation is none: it shows when the module is imported, whatever the tests say.
"""

import argparse
import ast
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast  # pyright: ignore[reportMissingImports]
from cosmic_ray.mutating import mutate_code  # pyright: ignore[reportMissingImports]
from cosmic_ray.plugins import get_operator, operator_names  # pyright: ignore[reportMissingImports]

ROOT = Path(__file__).parents[1]
ROOMS = ("envs", "policies", "evaluation")
MODULES = (
    "hop_tree.py",
    "bundle.py",
    "outcomes/pricing.py",
    *(f"agents/{name}.py" for name in ("all_actions", "batching", "exact", "guidance", "optimizer", "ppo")),
)
Fault = tuple[str, str, int, tuple[int, int]]  # module, operator, occurrence, and place (line, column)
UNTESTED = ("gymnax_env.py",)  # the library that it adapts to is not among the pins


def modules() -> list[Path]:
    """Paths of all modules that get faults, below the root."""
    package = ROOT / "hierrouter_jax"
    rooms = [path for room in ROOMS for path in sorted((package / room).glob("*.py")) if path.name not in UNTESTED]
    paths = [*(package / name for name in MODULES), *(path for path in rooms if path.stem != "__init__")]
    return [path.relative_to(ROOT) for path in paths]


def annotated(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Start and end (line, column) of every type annotation."""
    found = []
    for node in ast.walk(ast.parse(source)):
        for name in ("annotation", "returns"):
            part = getattr(node, name, None)
            if part is not None:
                found.append(((part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)))
    return found


def candidates() -> Iterator[Fault]:
    """Every fault."""
    for path in modules():
        source = (ROOT / path).read_text("utf-8")
        spans, tree = annotated(source), get_ast(source)
        for name in operator_names():
            operator = get_operator(name)
            if operator.arguments():
                continue
            positions = (at for node in ast_nodes(tree) for at, _ in operator().mutation_positions(node))
            for occurrence, at in enumerate(positions):
                if not any(start <= at < end for start, end in spans):
                    yield path.as_posix(), name, occurrence, at


def mutant(path: str, operator: str, occurrence: int) -> dict[str, str]:
    """The module with the fault, and the lines that it changes."""
    source = (ROOT / path).read_text("utf-8")
    changed = mutate_code(source, get_operator(operator)(), occurrence)
    before, after = source.splitlines(), changed.splitlines()
    first = next((at for at, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), len(after))
    last = next((at for at, pair in enumerate(zip(before[::-1], after[::-1], strict=False)) if pair[0] != pair[1]), 0)
    lines = (" ".join(line.strip() for line in text[first : len(text) - last]) for text in (before, after))
    return dict(zip(("before", "after"), lines, strict=True)) | {"source": changed}


def in_random_order(faults: Iterable[Fault], seed: int) -> list[Fault]:
    """An order by digests of each fault's line: where a line stays, its faults keep their places in later versions."""
    lines = {path.as_posix(): (ROOT / path).read_text("utf-8").splitlines() for path in modules()}
    alike: Counter[tuple[str, str, str]] = Counter()
    places = []
    for path, operator, occurrence, at in faults:
        about = path, operator, lines[path][at[0] - 1].strip()
        alike[about] += 1
        digest = hashlib.sha256(repr((seed, *about, alike[about])).encode()).digest()
        places.append((digest, (path, operator, occurrence, at)))
    return [fault for _, fault in sorted(places)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    drawn = in_random_order(candidates(), chosen.seed)
    total = len(drawn)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    with chosen.out.open("w", encoding="utf-8") as file:
        for path, operator, occurrence, (line, _) in drawn[: chosen.size]:
            about = {"path": path, "operator": operator, "occurrence": occurrence, "line": line, "of": total}
            print(json.dumps(about | mutant(path, operator, occurrence)), file=file)
    print(f"{min(total, chosen.size)} of {total} faults")


if __name__ == "__main__":
    main()
