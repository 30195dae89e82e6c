"""BIDS in and out; ``writer`` is the only door into the release."""
