"""Attacks on the release, as an independent witness."""
