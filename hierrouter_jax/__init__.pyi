"""The public names for type checkers; at run time each is loaded on first use."""

from hierrouter_jax._version import __version__ as __version__
from hierrouter_jax.agents.learner import train as train
from hierrouter_jax.agents.mesh import data_mesh as data_mesh
from hierrouter_jax.agents.mesh import replicate as replicate
from hierrouter_jax.agents.mesh import shard_queries as shard_queries
from hierrouter_jax.agents.optimizer import apply_gradient as apply_gradient
from hierrouter_jax.agents.ppo import collect as _collect
from hierrouter_jax.bridge.collect import collect as collect
from hierrouter_jax.bridge.encoders import build_encoder as build_encoder
from hierrouter_jax.bridge.encoders import count_truncated as count_truncated
from hierrouter_jax.bridge.grading import Verdict as Verdict
from hierrouter_jax.bridge.regrade import regrade as regrade
from hierrouter_jax.bridge.route import route as route
from hierrouter_jax.bridge.tasks import Item as Item
from hierrouter_jax.bridge.torch_policy import TorchPolicy as TorchPolicy
from hierrouter_jax.bundle import PolicyBundle as PolicyBundle
from hierrouter_jax.cli.estimate import EstimateConfig as EstimateConfig
from hierrouter_jax.cli.estimate import estimate_log as _estimate_log
from hierrouter_jax.cli.export import ExportConfig as ExportConfig
from hierrouter_jax.cli.export import write_bundle as _write_bundle
from hierrouter_jax.cli.import_ import ImportConfig as ImportConfig
from hierrouter_jax.cli.import_ import import_log as import_log
from hierrouter_jax.cli.import_ import import_outcomes as import_outcomes
from hierrouter_jax.cli.loop import LoopConfig as LoopConfig
from hierrouter_jax.cli.loop import play_loop as _play_loop
from hierrouter_jax.cli.simulate import SimulateConfig as SimulateConfig
from hierrouter_jax.cli.simulate import write_simulation as _write_simulation
from hierrouter_jax.errors import InputError as InputError
from hierrouter_jax.evaluation.paired import paired_difference as paired_difference
from hierrouter_jax.evaluation.policy_outcome import PolicyOutcome as PolicyOutcome
from hierrouter_jax.evaluation.policy_outcome import ending_at as ending_at
from hierrouter_jax.evaluation.policy_outcome import policy_outcome as policy_outcome
from hierrouter_jax.hop_tree import HopTree as HopTree
from hierrouter_jax.learner_config import LearnerHyper as LearnerHyper
from hierrouter_jax.learner_config import LearnerStatic as LearnerStatic
from hierrouter_jax.learner_config import RewardWeights as RewardWeights
from hierrouter_jax.outcomes.coverage import decision_contexts as decision_contexts
from hierrouter_jax.outcomes.decision_log import Decision as Decision
from hierrouter_jax.outcomes.decision_log import DecisionLog as DecisionLog
from hierrouter_jax.outcomes.decision_log import LogOptions as LogOptions
from hierrouter_jax.outcomes.decision_log import LogWriter as LogWriter
from hierrouter_jax.outcomes.decision_log import propensity_check as propensity_check
from hierrouter_jax.outcomes.decision_log import read_log as read_log
from hierrouter_jax.outcomes.decision_log import replay as _replay
from hierrouter_jax.outcomes.decision_log import write_log as write_log
from hierrouter_jax.outcomes.episodes import Episodes as Episodes
from hierrouter_jax.outcomes.episodes import episodes_of as episodes_of
from hierrouter_jax.outcomes.log_health import check_episodes as check_episodes
from hierrouter_jax.outcomes.ngrams import NGramEncoder as NGramEncoder
from hierrouter_jax.outcomes.pricing import PricedModel as PricedModel
from hierrouter_jax.outcomes.shipped import shipped_tables as _shipped_tables
from hierrouter_jax.outcomes.store import load_table as load_table
from hierrouter_jax.outcomes.store import save_table as save_table
from hierrouter_jax.outcomes.table import Context as Context
from hierrouter_jax.outcomes.table import OutcomeTable as OutcomeTable
from hierrouter_jax.outcomes.table import Query as Query
from hierrouter_jax.processor import use_wide_vectors as use_wide_vectors
from hierrouter_jax.quickstart import run_quickstart as _run_quickstart
from hierrouter_jax.quickstart_config import QuickstartConfig as QuickstartConfig
from hierrouter_jax.report.build import build_page as _build_page
from hierrouter_jax.report.pages.run import build_report as build_report
from hierrouter_jax.serve.router import Router as Router
from hierrouter_jax.serve.server import run_server as _run_server
from hierrouter_jax.serve.settings import ServeConfig as ServeConfig
from hierrouter_jax.studies.calibrate import calibrate as calibrate
from hierrouter_jax.studies.compare.config import Arm as Arm
from hierrouter_jax.studies.compare.config import CompareConfig as CompareConfig
from hierrouter_jax.studies.compare.run import compare as compare
from hierrouter_jax.studies.evaluate import evaluate as evaluate
from hierrouter_jax.studies.leaderboard.config import LeaderboardConfig as LeaderboardConfig
from hierrouter_jax.studies.leaderboard.config import LearnerSpec as LearnerSpec
from hierrouter_jax.studies.leaderboard.run import leaderboard as leaderboard
from hierrouter_jax.studies.pool_agnostic import pool_agnostic as pool_agnostic
from hierrouter_jax.studies.traffic import Traffic as Traffic
from hierrouter_jax.studies.transfer import transfer as transfer
from hierrouter_jax.studies.worth import worth as worth
from hierrouter_jax.sums import sign as sign
from hierrouter_jax.sweeps.draws import grid as grid
from hierrouter_jax.sweeps.draws import log as _log
from hierrouter_jax.sweeps.draws import sobol as sobol
from hierrouter_jax.sweeps.draws import uniform as uniform
from hierrouter_jax.sweeps.result import SweepResult as SweepResult
from hierrouter_jax.sweeps.result import load_sweep as load_sweep
from hierrouter_jax.sweeps.search.config import SweepConfig as SweepConfig
from hierrouter_jax.sweeps.search.run import sweep as sweep
from hierrouter_jax.sweeps.sweep import train_many as train_many
from hierrouter_jax.training.checkpoints import load_routers as load_routers
from hierrouter_jax.training.features import fit_features as fit_features
from hierrouter_jax.training.policy_program import jax_policy as jax_policy
from hierrouter_jax.training.router import TrainedRouter as TrainedRouter
from hierrouter_jax.training.settings import TrainConfig as TrainConfig
from hierrouter_jax.training.settings import static_of as static_of
from hierrouter_jax.training.train import train_routers as train_routers

estimate = _estimate_log
export = _write_bundle
log_uniform = _log
loop = _play_loop
quickstart = _run_quickstart
report = _build_page
serve = _run_server
replay_log = _replay
rollout = _collect
simulate = _write_simulation
tables = _shipped_tables
