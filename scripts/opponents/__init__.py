"""What others would train a router with, on the same table: each a class with the interface of `opponent.Opponent`."""
