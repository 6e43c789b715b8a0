"""The picture of the package: which room imports which, drawn from the imports in the code."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "hierrouter_jax"
GROUND = "ground floor"
LEARNING = ("envs", "policies", "evaluation", "agents", "baselines", "training", "sweeps", "studies", "report")
LIVE = ("tiny", "bridge", "serve")
BOTH = ("cli", "quickstart")
Edges = set[tuple[str, str]]

WIDTH, BOX, BAR, STEP = 760, 140, 34, 62
COLOURS = {"learning": "#2f6f9f", "live": "#a65e2e", "both": "#5b5b8c", "ground": "#4d7a4d"}


def room_edges(package: Path = PACKAGE) -> Edges:
    """Pairs of rooms of which the first imports the second; a room is a folder, or one of the ground floor's modules.

    Imports inside functions count. Those that only a type checker reads do not.
    """
    edges = set()
    for path in sorted(package.rglob("*.py")):
        here = room(path.relative_to(package).with_suffix("").as_posix().replace("/", "."))
        for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
            edges.add((here, room(name)))
    return {(one, other) for one, other in edges if one != other}


def room(module: str) -> str:
    """The room that a module lies in, by its dotted name without the package."""
    first = module.split(".")[0].replace("quickstart_config", "quickstart")
    return first if first in (*LEARNING, *LIVE, *BOTH) else GROUND


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names, without the package, of the package's modules that a file imports."""
    if isinstance(tree, ast.If) and "TYPE_CHECKING" in ast.unparse(tree.test):
        return
    if isinstance(tree, ast.Import):
        names = [alias.name for alias in tree.names]
    elif isinstance(tree, ast.ImportFrom):
        names = [f"{tree.module}.{alias.name}" for alias in tree.names]
    else:
        names = []
    yield from (name.partition(".")[2] for name in names if name.split(".")[0] == PACKAGE.name)
    for child in ast.iter_child_nodes(tree):
        yield from imported(child)


def drawn_edges(edges: Edges) -> Edges:
    """Without those that follow from others: what remains says who is reached from whom with the fewest lines."""
    reached = {one: reach(one, edges) for one, _ in edges}
    return {
        (one, other)
        for one, other in edges
        if not any(other in reached.get(middle, set()) for start, middle in edges if start == one and middle != other)
    }


def reach(start: str, edges: Edges) -> set[str]:
    """All rooms that `start` imports, however far away."""
    waiting, met = [start], set()
    while waiting:
        here = waiting.pop()
        fresh = {other for one, other in edges if one == here} - met
        met |= fresh
        waiting += fresh
    return met


def levels(edges: Edges) -> dict[str, int]:
    """Each room's height: one above the highest room that it imports."""
    heights: dict[str, int] = {}

    def height(name: str) -> int:
        if name not in heights:
            heights[name] = 1 + max((height(other) for one, other in edges if one == name), default=-1)
        return heights[name]

    for name in {name for edge in edges for name in edge}:
        height(name)
    return heights


def places(edges: Edges) -> dict[str, tuple[float, float]]:
    """The middle of each room's box: the learning wing on the left, the live wing on the right."""
    heights = levels(edges)
    top = max(heights.values())
    rows = {name: (top - height) * STEP + 40 for name, height in heights.items()}
    beside: dict[tuple[int, str], list[str]] = {}
    for name in sorted(rows, key=order):
        beside.setdefault((rows[name], wing(name)), []).append(name)
    first = {"learning": 110, "live": 480, "both": 380, "ground": WIDTH / 2}
    return {
        name: (first[side] + place * (BOX + 30), row)
        for (row, side), names in beside.items()
        for place, name in enumerate(names)
    }


def order(name: str) -> int:
    known = (*LEARNING, *LIVE, *BOTH, GROUND)
    return known.index(name)


def wing(name: str) -> str:
    if name in LEARNING:
        return "learning"
    return "live" if name in LIVE else "both" if name in BOTH else "ground"


def svg(edges: Edges) -> str:
    """The picture: a box for each room, a line for each import that does not follow from others."""
    spots = places(edges)
    bottom = max(row for _, row in spots.values()) + BAR
    lines = [
        f'<path class="import" data-from="{one}" data-to="{other}" fill="none" stroke="#8a8f98" stroke-width="1.4" '
        f'd="{curve(spots[one], spots[other], other == GROUND)}" marker-end="url(#tip)"/>'
        for one, other in sorted(drawn_edges(edges))
    ]
    boxes = [box(name, *spots[name]) for name in sorted(spots, key=order)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom}" role="img" '
            'aria-label="Rooms of the package and what they import" font-family="sans-serif" font-size="14">',
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto"><path d="M0 0 8 4 0 8z" fill="#8a8f98"/></marker></defs>',
            *lines,
            *boxes,
            "</svg>",
        ]
    )


def curve(start: tuple[float, float], end: tuple[float, float], ground: bool) -> str:
    """From the foot of a box to the head of another; from its side where the other lies far below and aside."""
    (x0, y0), (x1, y1) = start, end
    x1, y1 = x0 if ground else x1, y1 - BAR / 2
    if abs(x1 - x0) > BOX / 2 and y1 - y0 < STEP:
        low = y0 + BAR / 2
        return f"M{x0:g} {low:g}C{x0:g} {y1:g} {x1 + BOX / 2:g} {low:g} {x1 + BOX / 4:g} {y1:g}"
    if abs(x1 - x0) > BOX / 2:
        x0 += BOX / 2 if x1 > x0 else -BOX / 2
        return f"M{x0:g} {y0:g}C{(x0 + x1) / 2:g} {y0:g} {x1:g} {(y0 + y1) / 2:g} {x1:g} {y1:g}"
    return f"M{x0:g} {y0 + BAR / 2:g}L{x1:g} {y1:g}"


def box(name: str, x: float, y: float) -> str:
    width = WIDTH - 80 if name == GROUND else BOX
    label = f"{name}/" if (PACKAGE / name).is_dir() else name
    if name == GROUND:
        label = "outcomes/, bundle, hop_tree, config, files and the like"
    return (
        f'<g><rect x="{x - width / 2:g}" y="{y - BAR / 2:g}" width="{width}" height="{BAR}" rx="6" '
        f'fill="{COLOURS[wing(name)]}"/>'
        f'<text x="{x:g}" y="{y + 5:g}" text-anchor="middle" fill="#fff">{label}</text></g>'
    )


def figure() -> str:
    """The picture as a block of a page."""
    return f'<div class="import-graph">\n{svg(room_edges())}\n</div>'
