"""All learners and all opponents on the same splits of one or several outcome tables.

`run.leaderboard` makes one of a `config.LeaderboardConfig`. Nothing is imported here: a worker process must be pinned
to its core before it imports JAX.
"""
