"""Thin Nipype wrappers: read, one pure function, write."""
