"""What the audit attacks with, looked at before anything is done."""

from __future__ import annotations

from pathlib import Path

from anonymi_bids.settings import AuditSettings


def check_attackers(settings: AuditSettings, private: Path) -> None:
    """Check the recogniser that was named, and the photographs, before hours are spent.

    Parameters
    ----------
    settings : AuditSettings
    private : Path
        ``OUTPUT/private``.

    Raises
    ------
    ToolError
        If a recogniser that was asked for is not installed; dlib is asked for by photographs.
    InputError
        If the table of photographs is wrong.
    """
    from anonymi_bids.audit.recogniser import DEFAULT, load_recogniser

    if settings.audit == "none":
        return
    if settings.photos or settings.recogniser != DEFAULT:
        load_recogniser(settings.recogniser)
    if settings.photos:
        from anonymi_bids.audit.photos import list_photos
        from anonymi_bids.io.outcomes import new_labels

        list_photos(Path(settings.photos), new_labels(private))
