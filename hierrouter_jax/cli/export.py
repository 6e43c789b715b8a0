"""The verb `export`: the policy of a run as a bundle."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hierrouter_jax.cli.evaluate import table_folder
from hierrouter_jax.domains import NATURAL, Domains, check_domains
from hierrouter_jax.errors import InputError
from hierrouter_jax.files import read_json, write_bytes

if TYPE_CHECKING:
    from hierrouter_jax.bundle import PolicyBundle
    from hierrouter_jax.outcomes.table import OutcomeTable


@dataclass(frozen=True)
class ExportConfig:
    """A router of a run, and where it is written.

    Attributes:
      run: folder that 'hierrouter train' or 'quickstart' wrote, or a sweep.
      out: folder of the bundle, which is written.
      policy: name of the policy, by default the best on validation of all that the run may export: a learner's, such as
        `ppo`, all its seeds together, `ppo ensemble`, or one that needs no training, such as `predict-then-plan`,
        `task-sequence+stop` or `best-sequence`.
      learner: name of the learner whose network is exported, whatever else would be better.
      seed: index of the seed; by default the best on validation.
      checkpoint: number of updates after which the router is taken; by default that of the best validation.
      member: number of a sweep's run; by default the best on validation.
      table: folder of the outcome table, if it is no longer where the run found it.
      stablehlo: whether policy.stablehlo is written beside the bundle, for other compilers.
      onnx: whether policy.onnx is written beside the bundle, for ONNX runtimes.
      push: repository OWNER/NAME of the Hugging Face hub that the bundle is put into, made where there is none.
      public: whether a repository that --push makes is public.
    """

    DOMAINS: ClassVar[Domains] = {"seed": NATURAL, "checkpoint": NATURAL, "member": NATURAL}

    run: Path
    out: Path
    policy: str | None = None
    learner: str | None = None
    seed: int | None = None
    checkpoint: int | None = None
    member: int | None = None
    table: Path | None = None
    stablehlo: bool = False
    onnx: bool = False
    push: str | None = None
    public: bool = False

    def __post_init__(self) -> None:
        check_domains(self)
        if self.public and self.push is None:
            raise InputError("--public is given without --push, which makes the repository")
        own = [name for name in ("learner", "seed", "checkpoint", "member") if getattr(self, name) is not None]
        if self.policy is not None and own:
            raise InputError(
                f"--policy is {self.policy!r}, but goes not with --{own[0]}, which takes a learner's network"
            )

    @property
    def written(self) -> Path:
        return self.out


def export(config: ExportConfig) -> None:
    """Write the policy of a run as a bundle, with its model card: by default the one that is best on validation.

    --onnx and --stablehlo write the same policy for other runtimes too. --push needs a token (hf auth login).
    """
    write_bundle(config)
    print(config.out)
    if config.push is not None:
        from hierrouter_jax.bridge.hub import push_policy

        print(push_policy(config.out, config.push, config.public))


def write_bundle(config: ExportConfig) -> "PolicyBundle":
    """Write a trained router as a policy bundle, and return it.

    Raises:
      InputError: naming the option that the run does not hold.
    """
    from hierrouter_jax.sweeps.folder import HEADER
    from hierrouter_jax.sweeps.search.parts import DESCRIPTION
    from hierrouter_jax.sweeps.search.run import POLICIES

    if (config.run / HEADER).is_file():
        bundle = _sweep_bundle(config)
    elif (config.run / DESCRIPTION).is_file():
        best = f" (its best policies are in {POLICIES}/)" if (config.run / POLICIES).is_dir() else ""
        raise InputError(f"{config.run}: is a search of several sweeps; name one of the folders in it{best}")
    elif config.member is not None:
        raise InputError(f"--member is {config.member}, but {config.run} holds no sweep")
    else:
        bundle = _run_bundle(config)
    forms = _other_forms(config, bundle)  # first, so that a policy that has none is refused before anything is written
    bundle.save(config.out, _evaluation(config, bundle))
    for name, content in forms.items():
        write_bytes(config.out / name, content)
    return bundle


def _other_forms(config: ExportConfig, bundle: "PolicyBundle") -> dict[str, bytes]:
    """Contents of the files that hold the policy for other runtimes, by name."""
    forms = {}
    if config.stablehlo:
        from hierrouter_jax.bundle_card import STABLEHLO
        from hierrouter_jax.training.policy_program import stablehlo

        forms[STABLEHLO] = stablehlo(bundle)
    if config.onnx:
        from hierrouter_jax.bundle_card import ONNX
        from hierrouter_jax.bundle_onnx import onnx_bytes

        forms[ONNX] = onnx_bytes(bundle)
    return forms


def _evaluation(config: ExportConfig, bundle: "PolicyBundle") -> dict[str, Any] | None:
    """The run's evaluation, if its rows are of the router that is exported: that of the best seed and update."""
    path = config.run / "evaluation.json"
    own = config.seed is None and config.checkpoint is None and config.member is None
    evaluation = read_json(path) if own and path.is_file() else {"table": {}}
    return evaluation if evaluation["table"].get("fingerprint") == bundle.table_fingerprint else None


def _sweep_bundle(config: ExportConfig) -> "PolicyBundle":
    from hierrouter_jax.outcomes.store import load_table
    from hierrouter_jax.sweeps.result import load_sweep

    for name in ("policy", "learner", "seed", "checkpoint"):
        value = getattr(config, name)
        if value is not None:
            raise InputError(f"--{name} is {value!r}, but {config.run} is a sweep; --member takes one of its runs")
    result = load_sweep(config.run, None if config.table is None else load_table(config.table))
    return result.bundle(result.best_member if config.member is None else config.member)


def _run_bundle(config: ExportConfig) -> "PolicyBundle":
    from hierrouter_jax.outcomes.store import load_table
    from hierrouter_jax.training.checkpoints import load_routers, read_train_config

    table = load_table(table_folder(config.run, config.table))
    trained = read_train_config(config.run)
    if config.learner is not None and config.learner not in trained.learners:
        raise InputError(f"--learner is {config.learner!r}, but {config.run} holds {', '.join(trained.learners)}")
    if config.seed is not None and not 0 <= config.seed < trained.num_seeds:
        raise InputError(f"--seed is {config.seed}, but {config.run} holds seeds 0..{trained.num_seeds - 1}")
    if config.learner is None and config.seed is None and config.checkpoint is None:
        return _chosen_bundle(config, table)
    routers = load_routers(config.run, table, config.checkpoint, (config.learner,) if config.learner else ())
    learner = max(routers, key=lambda name: float(routers[name].state.best_return[routers[name].chosen_seed]))
    if len(trained.learners) > 1 and config.learner is None:
        print(f"{learner}: the best of {', '.join(routers)} on validation; --learner takes another", file=sys.stderr)
    bundle = routers[learner].bundle(table, config.seed)
    if config.checkpoint is not None:
        bundle = replace(bundle, provenance=bundle.provenance | {"checkpoint": config.checkpoint})
    return bundle


def _chosen_bundle(config: ExportConfig, table: "OutcomeTable") -> "PolicyBundle":
    """The policy that is named, or the best on validation of all that the run may export; says which it was."""
    from hierrouter_jax.studies.choice import candidates, choose, named_candidate
    from hierrouter_jax.training.checkpoints import load_routers

    rivals = candidates(table, load_routers(config.run, table))
    if config.policy is not None:
        return named_candidate(rivals, config.policy).bundle
    chosen = choose(rivals)
    others = ", ".join(one.name for one in rivals if one is not chosen)
    print(f"{chosen.name} ({chosen.bundle.kind}): best on validation, before {others}", file=sys.stderr)
    return chosen.bundle
