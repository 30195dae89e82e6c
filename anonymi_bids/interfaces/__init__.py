"""Thin Nipype wrappers: read, one pure function, write."""

import os

# Nipype asks a server for its newest version unless told not to; no network is ever used here.
os.environ.setdefault("NO_ET", "1")
os.environ.setdefault("NIPYPE_NO_ET", "1")
