"""The one exception that means: the user's input is wrong, and here is how to put it right."""


class InputError(ValueError):
    """Bad input. The message is one sentence naming the file, row and field, and what would be right.

    The command line prints it and exits with code 2; Python users catch it like any ValueError.
    """
