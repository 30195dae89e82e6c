"""Errors of the project, drawn as a tree.

::

    AnonymiError                 exit code
    ├── UsageError                  2   the command cannot be carried out as asked
    │   ├── SettingsError           2   an option or a settings file is wrong
    │   └── InputError              2   INPUT as a whole is not usable
    ├── ImageError                  –   one image cannot be used: it is withheld (exit 3)
    │   ├── UnreadableImage         –   truncated, damaged or lying about its size
    │   ├── UnusableAffine          –   no valid placement in space
    │   ├── NotAHead                –   nothing in it that looks like a head
    │   └── RegistrationFailed      –   the head was not found with enough confidence
    ├── ToolError                   4   a needed tool or packaged file is missing or damaged
    ├── SpaceError                  5   out of disk space or memory, safe to restart
    └── ReleaseRefused              1   something tried to enter release/ without a passed verdict

Every message is one sentence: what was found, where, what was expected, what to do. Messages are
shown and logged, so they never contain text that came from a patient's header or file.
"""


class AnonymiError(Exception):
    """Anything this project reports in a sentence instead of a traceback."""

    exit_code = 1


class UsageError(AnonymiError):
    """The command cannot be carried out as asked; nothing has been written."""

    exit_code = 2


class SettingsError(UsageError):
    """An option or a settings file is wrong."""


class InputError(UsageError):
    """INPUT as a whole is not usable."""


class ImageError(AnonymiError):
    """One image cannot be used; it is withheld and the run goes on."""

    exit_code = 3


class UnreadableImage(ImageError):
    """An image is truncated, damaged or lies about its size."""


class UnusableAffine(ImageError):
    """An image has no valid placement in space."""


class NotAHead(ImageError):
    """Nothing in the image looks like a head."""


class RegistrationFailed(ImageError):
    """The head, or its position in another image, was not found with enough confidence."""


class ToolError(AnonymiError):
    """A needed tool or packaged file is missing or damaged."""

    exit_code = 4


class SpaceError(AnonymiError):
    """Disk space or memory ran out; the run may be started again."""

    exit_code = 5


class ReleaseRefused(AnonymiError):
    """Something tried to enter the release without a passed verdict."""
