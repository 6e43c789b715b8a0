"""The verb that judges a table's responses anew: regrade."""

from pathlib import Path

from hierrouter_jax.files import existing

# Verb: the folder, by its options.
WRITES = {"regrade": lambda options: None if options["dry_run"] else existing(options["table"])}


def regrade(table: Path, unsafe_no_sandbox: bool = False, dry_run: bool = False, json: bool = False) -> None:
    """Judge the responses of a table anew, by the graders that it was collected with, without calling a model.

    A grader that was mended, or given other settings in the table's file, changes verdicts. The old ones are kept in
    TABLE/regrades, with what changed; the table gets the new ones, and with them another fingerprint. Run again, it
    changes nothing. Where it is stopped, the table is as it was.

    Args:
      table: folder of a table that was collected with --tasks or --mix.
      unsafe_no_sandbox: run programs in responses unprotected where there is no sandbox.
      dry_run: only say what would change; nothing is written in the folder.
      json: print every change for machines.
    """
    from hierrouter_jax.cli.verdicts import regrade_and_tell  # loads the graders, which help does without

    regrade_and_tell(table, unsafe_no_sandbox, dry_run, json)
