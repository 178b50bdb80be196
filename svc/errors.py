"""Errors a user can act on.

Every message is one sentence or two that say what is wrong *and* what to do next.
The command line prints the message alone; a traceback is only for programming errors.
"""


class SvcError(Exception):
    """Something the user can fix; the message says how."""


class AudioError(SvcError):
    """A file or array that is not usable audio."""


class ConfigError(SvcError):
    """An unknown or impossible setting."""


class DatasetError(SvcError):
    """A dataset folder, manifest or feature store that cannot be used."""


class CheckpointError(SvcError):
    """A voice, checkpoint or weight file that is damaged, foreign or does not fit."""


class SpecMismatchError(CheckpointError):
    """Features and model were made for different feature specifications."""


class WeightError(SvcError):
    """A pretrained weight file is missing, damaged or of the wrong content."""


class MissingExtraError(SvcError):
    """An optional package is needed; the message names the extra to install."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package '{package}': install it with  pip install 'svc-toolkit[{extra}]'"
        )


class InterruptedBySignal(SvcError):
    """Stopped by the user; everything finished so far has been saved."""
