"""What an answer in LaTeX or plain notation says: its form, and whether two of them say the same."""
