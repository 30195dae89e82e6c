"""The head model: what it is trained with, and how good it is."""
