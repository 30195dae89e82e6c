"""Run a Nipype graph quietly: messages go to the private log, progress to the user."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anonymi_bids.errors import SpaceError

LOGGER = logging.getLogger("anonymi_bids")

_SPACE_SIGNS = (
    "SpaceError",
    "No space left on device",
    "MemoryError",
    "Disk quota exceeded",
    "BrokenProcessPool",  # a worker was killed, as the kernel does when memory runs out
)


class _NoPaths(logging.Formatter):
    """Writes folders of the run as INPUT and OUTPUT, so that the log can be shown to others."""

    def __init__(self, replaced: dict[str, str]) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")
        self._replaced = replaced

    def format(self, record: logging.LogRecord) -> str:
        """Format one record without absolute paths."""
        text = super().format(record)
        for path, name in self._replaced.items():
            text = text.replace(path, name)
        return text


def start_log(private: Path, replaced: dict[str, str], *, verbose: int) -> None:
    """Send all logging of the project and of Nipype to ``private/log.txt`` only."""
    handler = logging.FileHandler(private / "log.txt", encoding="utf-8")
    handler.setFormatter(_NoPaths(replaced))
    LOGGER.handlers = [handler]
    LOGGER.setLevel(logging.DEBUG if verbose else logging.INFO)
    LOGGER.propagate = False
    import nipype  # noqa: F401 - makes its loggers, which are then taken over

    level = logging.INFO if verbose else logging.ERROR
    for name in (
        "nipype",
        "nipype.workflow",
        "nipype.interface",
        "nipype.utils",
        "nipype.filemanip",
    ):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(level)
    logging.getLogger("py.warnings").handlers = [handler]
    logging.captureWarnings(True)


def run_graph(
    workflow: Any,
    *,
    crash_dir: Path,
    nprocs: int,
    mem_gb: float | None,
    status_callback: Callable[[Any, str], None] | None = None,
) -> bool:
    """Run a graph to its end; a node that fails does not stop the others.

    Returns
    -------
    bool
        False if some node failed by a fault of the program (traceback in the log).

    Raises
    ------
    SpaceError
        If disk or memory ran out.
    """
    crash_dir.mkdir(parents=True, exist_ok=True)
    workflow.config["execution"].update(
        {
            "stop_on_first_crash": "false",
            "crashdump_dir": os.fspath(crash_dir),
            "crashfile_format": "txt",
            "hash_method": "content",
            "poll_sleep_duration": "0.2",
            "check_version": "false",
            "create_report": "false",
            "remove_unnecessary_outputs": "false",
        }
    )
    plugin_args: dict[str, Any] = {"status_callback": status_callback}
    plugin = "Linear"
    if nprocs > 1:
        plugin = "MultiProc"
        plugin_args.update({"n_procs": nprocs, "raise_insufficient": False})
        if mem_gb:
            plugin_args["memory_gb"] = mem_gb
    try:
        workflow.run(plugin=plugin, plugin_args=plugin_args)
    except (KeyboardInterrupt, SystemExit):
        # Workers still run: they must not find their folder gone while they write into it.
        for worker in multiprocessing.active_children():
            worker.kill()
            worker.join()
        raise
    except Exception as error:  # noqa: BLE001 - Nipype raises whatever a node raised
        text = _with_causes(error)
        if any(sign in text for sign in _SPACE_SIGNS):
            raise SpaceError(
                "Disk space or memory ran out; free some and start the same command again."
            ) from error
        LOGGER.error("A step of the graph failed.\n%s", text)
        return False
    return True


def _with_causes(error: BaseException) -> str:
    """Messages and tracebacks of an error and of those that caused it."""
    import traceback

    return "".join(traceback.format_exception(error))
