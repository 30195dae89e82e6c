"""Share head scans without giving away whose they are."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("anonymi-bids")
except PackageNotFoundError:  # pragma: no cover - run from a checkout that is not installed
    __version__ = "0.0.0"

__all__ = ["__version__"]
