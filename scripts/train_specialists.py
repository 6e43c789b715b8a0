"""Train the tiny pool's three specialists and write them, float16, with a model card each.

python scripts/train_specialists.py                 # all three, two at a time
python scripts/train_specialists.py --only speller  # one of them
"""

import json
import random
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jsonargparse import auto_cli
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from hierrouter_jax.tiny.arithmetic import NUMBER, facts
from hierrouter_jax.tiny.problems import (
    PHRASINGS,
    SPECIALISTS,
    Problem,
    ask,
    draw_problem,
    draw_walk,
    fact_problem,
    taught_response,
)

IGNORED = -100
LINE_END = "\n"
BATCHES_SORTED = 16
SECONDS = "seconds"


@dataclass(frozen=True)
class Phase:
    """One schedule of AdamW with a one-cycle rate.

    Attributes:
      steps: of `batch` examples each.
      batch: examples a step.
      learning_rate: highest of the cycle.
      kinds: weights of the kinds of problem.
      hops: weights of contexts with no, one and two responses.
    """

    steps: int
    batch: int
    learning_rate: float
    kinds: dict[str, float]
    hops: tuple[float, float, float]


@dataclass(frozen=True)
class Recipe:
    """Size of a specialist and its phases of training."""

    hidden: int
    intermediate: int
    layers: int
    phases: tuple[Phase, ...]


# The reader's second phase is for what the first leaves at 97 %: rare facts, and number words said once more.
RECIPES = {
    "reader": Recipe(
        96,
        384,
        3,
        (
            Phase(2800, 128, 3e-3, {"fact": 0.45, "word": 0.4, "expression": 0.1, "number": 0.05}, (0.4, 0.3, 0.3)),
            Phase(1500, 128, 1.5e-3, {"fact": 0.5, "word": 0.2, "expression": 0.1, "number": 0.2}, (0.5, 0.3, 0.2)),
        ),
    ),
    "calculator": Recipe(
        96, 256, 3, (Phase(4500, 128, 3e-3, {"expression": 0.55, "word": 0.15, "fact": 0.3}, (0.4, 0.4, 0.2)),)
    ),
    "speller": Recipe(
        64,
        192,
        3,
        (Phase(2500, 96, 4e-3, {"number": 0.5, "expression": 0.2, "word": 0.1, "fact": 0.2}, (0.3, 0.4, 0.3)),),
    ),
}


def main(
    only: str | None = None,
    out: Path = Path("hierrouter_jax/specialists"),
    work: Path = Path("runs/specialists"),
    seed: int = 0,
) -> None:
    """Train the specialists; run again after an interruption, it goes on with the phase that was not finished.

    Args:
      only: name of one specialist; all by default.
      out: folder that gets one folder a specialist.
      work: folder of finished phases.
      seed: of the initial weights and of the training examples.
    """
    names = list(SPECIALISTS) if only is None else [only]
    with ProcessPoolExecutor(max_workers=min(2, len(names))) as pool:
        runs = [pool.submit(train, name, out / name, work, seed, row) for row, name in enumerate(names)]
        for name, run in zip(names, runs, strict=True):
            print(name, json.dumps(run.result()["accuracy"], indent=2))


def train(name: str, out: Path, work: Path, seed: int, row: int) -> dict:
    """Train one specialist, save it, measure it as saved and return its card."""
    torch.set_num_threads(1)
    recipe, tokenizer = RECIPES[name], character_tokenizer()
    folders = [work / name / f"phase-{number}" for number in range(len(recipe.phases))]
    for number, (phase, finished) in enumerate(zip(recipe.phases, folders, strict=True)):
        if (finished / SECONDS).is_file():
            continue
        torch.manual_seed(seed)
        rng = random.Random(f"{name}/{seed}/{number}" if number else f"{name}/{seed}")
        if number:
            model = LlamaForCausalLM.from_pretrained(folders[number - 1], dtype=torch.float32, trust_remote_code=False)
        else:
            model = build(recipe, tokenizer)
        started = time.monotonic()
        run_phase(model, name, phase, rng, row)
        model.half().save_pretrained(finished)
        (finished / SECONDS).write_text(str(round(time.monotonic() - started)))
    model = LlamaForCausalLM.from_pretrained(folders[-1], dtype=torch.float16, trust_remote_code=False)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    card = {
        "name": name,
        "command": f"python scripts/train_specialists.py --only {name} --seed {seed}",
        "seed": seed,
        "recipe": asdict(recipe),
        "parameters": model.num_parameters(),
        "training_seconds": sum(int((folder / SECONDS).read_text()) for folder in folders),
        "accuracy": measure(name, out, tokenizer),
        "note": "accuracy by exact match of the greedy response, float16 weights run in float32, on expressions and "
        "numbers never seen in training (facts and products of two digits are seen: their recall); "
        "bare_number_left_alone is not a skill: nothing was taught there",
    }
    (out / "card.json").write_text(json.dumps(card, indent=2) + "\n")
    return card


def run_phase(model: LlamaForCausalLM, name: str, phase: Phase, rng: random.Random, row: int) -> None:
    """Train in place, with a progress bar."""
    tokenizer = character_tokenizer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=phase.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, phase.learning_rate, phase.steps, pct_start=0.1)
    source = batches(rng, name, phase, tokenizer)
    for _ in (bar := tqdm(range(phase.steps), desc=name, position=row, mininterval=2)):
        loss = train_step(model, next(source), optimizer)
        schedule.step()
        bar.set_postfix(loss=f"{loss:.4f}", refresh=False)


def character_tokenizer() -> PreTrainedTokenizerFast:
    """One token a character of printable ASCII; the line end closes a response."""
    characters = ["<pad>", "<unk>", LINE_END, *map(chr, range(32, 127))]
    tokenizer = Tokenizer(models.WordLevel({c: i for i, c in enumerate(characters)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token=LINE_END,
        padding_side="left",
        model_max_length=512,
    )


def build(recipe: Recipe, tokenizer: Any) -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=recipe.hidden,
            intermediate_size=recipe.intermediate,
            num_hidden_layers=recipe.layers,
            num_attention_heads=4,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def batches(rng: random.Random, name: str, phase: Phase, tokenizer: Any):
    """Endless batches of token ids and labels [B, T]; labels are kept only on lines that this specialist is taught.

    Rows of like length share a batch, which halves the padding.
    """
    while True:
        rows = [encode(*draw_example(rng, name, phase), name, tokenizer) for _ in range(phase.batch * BATCHES_SORTED)]
        rows.sort(key=lambda row: len(row[0]))
        chunks = [rows[start : start + phase.batch] for start in range(0, len(rows), phase.batch)]
        rng.shuffle(chunks)
        yield from (pad(chunk, tokenizer.pad_token_id) for chunk in chunks)


def pad(rows: list[tuple[list[int], list[int]]], pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([row + [pad_id] * (width - len(row)) for row, _ in rows])
    labels = torch.tensor([row + [IGNORED] * (width - len(row)) for _, row in rows])
    return ids, labels


def draw_example(rng: random.Random, name: str, phase: Phase, held_out: bool = False):
    """A problem, its query and the responses of a walk that ends with this specialist."""
    while True:
        kind = rng.choices(list(phase.kinds), list(phase.kinds.values()))[0]
        problem = draw_problem(rng, kind, held_out)
        walk = draw_walk(rng, name, problem, rng.choices((1, 2, 3), phase.hops)[0])
        if walk is not None:
            return problem, ask(rng, problem, rng.choice(list(PHRASINGS))), walk


def encode(problem: Problem, query: str, walk: list[str], name: str, tokenizer: PreTrainedTokenizerFast):
    ids = tokenizer(query + LINE_END)["input_ids"]
    labels = [IGNORED] * len(ids)
    for hop, response in enumerate(walk):
        line = tokenizer(response + LINE_END)["input_ids"]
        taught = taught_response(name, problem, walk[:hop]) == response
        ids, labels = ids + line, labels + (line if taught else [IGNORED] * len(line))
    return ids, labels


def train_step(model: LlamaForCausalLM, batch: tuple[torch.Tensor, torch.Tensor], optimizer) -> float:
    """One AdamW step; rows are padded on the right, so causal attention never sees the padding."""
    ids, labels = batch
    hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]
    wanted = labels[:, 1:] != IGNORED
    loss = torch.nn.functional.cross_entropy(model.lm_head(hidden[wanted]), labels[:, 1:][wanted])
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def measure(name: str, folder: Path, tokenizer: PreTrainedTokenizerFast, per_skill: int = 1000) -> dict[str, float]:
    """Exact-match accuracy of the saved model per skill, on held-out contents."""
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, trust_remote_code=False).eval()
    rng = random.Random("held-out")
    kinds = RECIPES[name].phases[0].kinds
    uniform = replace(RECIPES[name].phases[0], kinds=dict.fromkeys(kinds, 1.0), hops=(1, 1, 1))
    examples: dict[str, list] = {}
    for _ in range(per_skill * 6):
        problem, query, walk = draw_example(rng, name, uniform, held_out=True)
        examples.setdefault(skill(problem, walk), []).append((query, walk[:-1], walk[-1]))
    if name == "reader":
        wanted = list(PHRASINGS)
        known = [(fact_problem(rng, fact, allow_test_only=True), fact) for fact in facts() for _ in range(2)]
        examples["fact_recall"] = [(ask(rng, p, rng.choice(wanted)), [], f.answer) for p, f in known]
    if name == "calculator":
        examples["bare_number_left_alone"] = bare_numbers(rng, per_skill)
    return {
        skill: accuracy(model, tokenizer, rows[: max(per_skill, 2 * len(facts()))])
        for skill, rows in sorted(examples.items())
    }


def skill(problem: Problem, walk: list[str]) -> str:
    if len(walk) > 1 and walk[-1] == walk[-2]:
        return "repeat"
    if len(walk) == 1:
        return f"{problem.kind}_first_hop"
    return f"{'number' if NUMBER.fullmatch(walk[-2]) else 'expression'}_later_hop"


def bare_numbers(rng: random.Random, count: int) -> list[tuple[str, list[str], str]]:
    """Contexts that end with a finished number, where leaving it alone would be right."""
    rows = []
    while len(rows) < count:
        problem = draw_problem(rng, rng.choice(("expression", "word", "fact")), held_out=True)
        walk = draw_walk(rng, "reader", problem, 3)
        if walk and NUMBER.fullmatch(walk[1]):
            rows.append((ask(rng, problem, "value"), walk[:2], walk[1]))
    return rows


@torch.inference_mode()
def accuracy(model: Any, tokenizer: Any, rows: list) -> float:
    """Share of rows (query, responses, expected) whose greedy continuation is the expected line."""
    right = 0
    for start in range(0, len(rows), 256):
        chunk = rows[start : start + 256]
        prompts = [LINE_END.join([query, *responses, ""]) for query, responses, _ in chunk]
        inputs = tokenizer(prompts, return_tensors="pt", padding=True)
        output = model.generate(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], max_new_tokens=40, do_sample=False
        )
        texts = tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        right += sum(text == expected for text, (_, _, expected) in zip(texts, chunk, strict=True))
    return round(right / len(rows), 4)


if __name__ == "__main__":
    auto_cli(main, as_positional=False)
