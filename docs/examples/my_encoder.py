"""An encoder that counts letters."""

import numpy as np


class Letters:
    """How often each letter occurs in the query, and in the latest response."""

    def __init__(self, letters: str = "abcdefghijklmnopqrstuvwxyz0123456789+-"):
        self.letters = letters
        self.size = 2 * len(letters)

    def encode(self, contexts):
        rows = np.zeros((len(contexts), 2, len(self.letters)), np.float32)
        for row, context in zip(rows, contexts, strict=True):
            for part, text in enumerate((context.query, "".join(context.responses[-1:]))):
                row[part] = [text.lower().count(letter) for letter in self.letters]
        return rows.reshape(len(contexts), self.size)
