"""Figures and pages; no HTML in Python strings."""
