"""What de-identification does to the tools that come after it."""

NOISIER = "noisier"
"""The original with as much noise again: what differs there is the tools' own."""
