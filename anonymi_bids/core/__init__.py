"""Geometry on arrays: numpy and scipy only, no files."""
