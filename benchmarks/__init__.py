"""Benchmarks: each one command that prints a table and writes its figures."""
