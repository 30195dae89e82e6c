"""Thin Nipype wrappers: read, one pure function, write."""

import os

# Nipype asks a server for its newest version unless told not to; this project never uses a network.
os.environ.setdefault("NO_ET", "1")
os.environ.setdefault("NIPYPE_NO_ET", "1")
