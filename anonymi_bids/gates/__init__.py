"""Checks that an image must pass; they never import the methods they judge."""
