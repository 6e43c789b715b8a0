"""The verbs of the command line."""

from typing import NamedTuple


class Verb(NamedTuple):
    """A verb.

    Attributes:
      module: the module of `hierrouter_jax.cli` whose function of the verb's name does the work.
      help: what the verb does, in one line.
      example: a command line, without `hierrouter` in front.
      first: an option that may also be given as the first argument, without its name.
      gathers: an option that collects every bare `name=choice` argument.
    """

    module: str
    help: str
    example: str
    first: str = ""
    gathers: str = ""


VERBS = {
    "quickstart": Verb(
        "quickstart",
        "collect, train, evaluate, export and route the tiny pool, end to end",
        "quickstart --seed 1",
    ),
    "collect": Verb(
        "collect",
        "run a pool over every route of a set of queries into an outcome table",
        "collect tables/mine --pool pool.yaml --queries queries.jsonl",
        first="out",
    ),
    "calls": Verb(
        "calls",
        "write the calls that a collection keeps into small files that can be committed",
        "calls tables/mine tables/mine-calls",
    ),
    "tables": Verb(
        "tables",
        "list the outcome tables of real models that ship with the package",
        "tables",
    ),
    "pack": Verb(
        "pack",
        "write a table in the form in which tables ship: small files, the embeddings of several encoders",
        "pack tables/minilm tables/mpnet --out tables/small-coders --encoders '[minilm, mpnet]'",
    ),
    "import": Verb(
        "import_",
        "read outcomes that others published into an outcome table, or decisions into a decision log",
        "import long outcomes.csv --prices prices.yaml --tokenizer words --out tables/mine",
    ),
    "regrade": Verb(
        "regrade",
        "judge the responses of an outcome table anew, without calling a model",
        "regrade tables/mine --dry-run",
    ),
    "inspect": Verb(
        "inspect",
        "show what an outcome table holds",
        "inspect runs/quickstart/table --query test-00007",
        first="table",
    ),
    "train": Verb(
        "train",
        "train routers on an outcome table, or from a decision log",
        "train tables/mine --out runs/mine --train.hyper.reward.hop_cost 0.05 --train.num_seeds 10",
    ),
    "loop": Verb(
        "loop",
        "play serving, learning from the log and replacing the policy on a table, and count the regret",
        "loop runs/quickstart/table --episodes 12000 --every 1000 --safe",
    ),
    "sweep": Verb(
        "sweep",
        "train many settings over seeds, rank them, export the best",
        "sweep tables/mine 'learning_rate=log(3e-4,3e-3)' learner=exact,exact+stop --seeds 4 --out runs/sweep",
        gathers="axes",
    ),
    "compare": Verb(
        "compare",
        "compare reward shapings, learners or settings over seeds and cost weights",
        "compare runs/quickstart/table --config compare/rewards.yaml --out runs/rewards",
        first="table",
    ),
    "worth": Verb(
        "worth",
        "say whether routing, and whether more hops, are worth it for the models of a table",
        "worth runs/quickstart/table",
    ),
    "leaderboard": Verb(
        "leaderboard",
        "rank all learners and all opponents on the same splits of one or several tables",
        "leaderboard tables/lookahead --splits 10 --train 1200 --test 540 --out runs/leaderboard",
    ),
    "transfer": Verb(
        "transfer",
        "say what routers lose on a benchmark, or with a model, that they were not trained on",
        "transfer tables/mine --config train/fast.yaml --model large --known '[0, 50, 200]'",
    ),
    "evaluate": Verb(
        "evaluate",
        "evaluate a run's routers exactly beside their opponents",
        "evaluate runs/mine --split validation",
    ),
    "calibrate": Verb(
        "calibrate",
        "find the cost weight or stop threshold that meets a budget or an accuracy",
        "calibrate runs/mine --budget 120",
    ),
    "export": Verb(
        "export",
        "write a trained router as a policy bundle",
        "export runs/mine policies/mine",
    ),
    "route": Verb(
        "route",
        "answer queries live with a policy bundle and its pool",
        "route 'Compute 12+7-5. Answer in words.'",
    ),
    "serve": Verb(
        "serve",
        "serve a policy and its pool to any OpenAI or Anthropic client",
        "serve --policy policies/mine --pool pool.yaml --port 8000",
    ),
    "sign": Verb(
        "sign",
        "sign a folder again after its files were edited by hand, or compare them with what was signed",
        "sign tables/mine",
    ),
    "simulate": Verb(
        "simulate",
        "write the decision log of traffic on an outcome table",
        "simulate runs/quickstart/table --policy softmax:0.1 --episodes 5000 --out logs/mine",
    ),
    "estimate": Verb(
        "estimate",
        "estimate from a decision log what a policy that did not serve would reach",
        "estimate logs/mine --policy policies/mine",
    ),
    "convert": Verb(
        "convert",
        "turn a GGUF file into a plain model folder that a pool or a server can load",
        "convert models/smollm2.gguf models/smollm2",
    ),
    "report": Verb(
        "report",
        "write the page, figures and numbers of a run, of several, of a comparison or of a sweep",
        "report runs/mine --query test-00007",
    ),
}
