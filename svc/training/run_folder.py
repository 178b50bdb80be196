"""The files of one run: runs/<name>/ with config.yaml, checkpoints/, voices/ and voice.safetensors."""

import contextlib
import os
import re
import shutil
from pathlib import Path

from torch import Tensor

from svc.checkpoint.resume import list_states
from svc.config import Config
from svc.errors import CheckpointError

_VOICE = re.compile(r"voice_step_(\d{8})\.safetensors")


def save_tensors(path: Path, tensors: dict[str, Tensor], header: dict[str, str] | None = None) -> None:
    """Write a state dict as safetensors, all or nothing; CheckpointError when it cannot be written."""
    from safetensors.torch import save_file

    part = path.with_name(f".{path.name}.part")
    try:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, part, header)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise CheckpointError(f"{path} could not be written ({error}): free some disk space.") from error


class RunFolder:
    """Paths below one run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def checkpoints(self) -> Path:
        """Folder of training states."""
        return self.path / "checkpoints"

    @property
    def voice(self) -> Path:
        """The one file a user shares."""
        return self.path / "voice.safetensors"

    @property
    def best(self) -> Path:
        """The voice of the best validation so far."""
        return self.path / "voices" / "best.safetensors"

    @property
    def discriminator(self) -> Path:
        """The discriminators, for another run's `base_discriminator`."""
        return self.path / "discriminator.safetensors"

    @property
    def start(self) -> Path:
        """The model before the first step, where a loss compares with it."""
        return self.path / "start.safetensors"

    def voice_at(self, step: int) -> Path:
        """The voice written at `step`."""
        return self.path / "voices" / f"voice_step_{step:08d}.safetensors"

    def require_new(self) -> None:
        """CheckpointError when the folder already holds training states."""
        states = list_states(self.checkpoints)
        if states:
            raise CheckpointError(
                f"The run folder {self.path} already holds a training state (step {states[-1].step}): "
                "continue it with --resume, or choose another --run name."
            )

    def create(self, config: Config) -> None:
        """Make the folders and write the resolved settings to config.yaml."""
        import yaml

        text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        part = self.path / ".config.yaml.part"
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self.best.parent.mkdir(exist_ok=True)
            part.write_text(text, encoding="utf-8")
            os.replace(part, self.path / "config.yaml")
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise CheckpointError(
                f"The run folder {self.path} cannot be written ({error.strerror or error}): choose another --run name."
            ) from error

    def prune_voices(self, keep: int) -> None:
        """Remove all but the last `keep` voices written by step."""
        found = sorted(path for path in self.best.parent.iterdir() if _VOICE.fullmatch(path.name))
        for path in found[:-keep]:
            path.unlink(missing_ok=True)

    def publish(self, source: Path) -> None:
        """Make `source` the run's voice.safetensors."""
        part = self.path / ".voice.safetensors.part"
        try:
            shutil.copyfile(source, part)
            os.replace(part, self.voice)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise CheckpointError(f"{self.voice} could not be written ({error}): free some disk space.") from error
