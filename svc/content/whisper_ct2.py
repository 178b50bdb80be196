"""Whisper's encoder as content from a CTranslate2 folder (faster-whisper's), run by the ctranslate2 package."""

from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch

from svc.content.ct2_files import FILE, read_ct2_whisper
from svc.content.encoder import ContentEncoder
from svc.content.weight_facts import FileHash
from svc.content.whisper import Whisper
from svc.content.whisper_network import WhisperShape
from svc.errors import CheckpointError, ConfigError, MissingExtraError, WeightError
from svc.paths import pretrain_dir

FOLDER_NAMES = ("whisper-ct2", "whisper_ct2")
ORIGIN = "huggingface.co/Systran (the whole folder of faster-whisper-medium or any other size)"


class WhisperCt2(Whisper):
    """As Whisper, with the last layer only: the package gives no other.

    The layer is numbered as Whisper's (one more than the file has blocks: the last behind the final norm). Numbers
    are computed in 32 bits whatever the file stores, so that every machine hears the same.
    """

    name: ClassVar[str] = "whisper_ct2"
    weights_sha256: ClassVar[str] = cast(str, FileHash(lambda path: path / FILE))

    def __init__(
        self,
        layers: dict[int, float] | None = None,
        normalisation: str = "adaptive",
        device: str = "cpu",
        path: Path | None = None,
        *,
        stacked: bool = False,
    ) -> None:
        """As Whisper; `path` names the folder.

        Raises MissingExtraError without the package, WeightError for a missing folder, CheckpointError for a damaged
        one, ConfigError for another layer than the last.
        """
        self.path = Path(path) if path is not None else self.find_weights()
        self.shape = read_ct2_whisper(self.path)
        ContentEncoder.__init__(self, layers, normalisation, device, stacked=stacked)
        if list(self.layers) != [self.layer_count]:
            raise ConfigError(
                f"Content encoder '{self.name}' gives its last layer only ({self.layer_count}): leave the layers empty "
                "or use 'whisper' with a file of OpenAI or Hugging Face."
            )
        self._model = _opened(self.path, device)

    @classmethod
    def shape_of(cls, path: Path) -> WhisperShape:
        """Sizes of the encoder in the folder `path`; CheckpointError if there is none."""
        return read_ct2_whisper(path)

    @classmethod
    def find_weights(cls) -> Path:
        """The folder in pretrain/ by name, else the only one that holds a Whisper; WeightError says what to get."""
        folder = pretrain_dir()
        for name in FOLDER_NAMES:
            if (folder / name).is_dir():
                return folder / name
        candidates = sorted(folder.iterdir()) if folder.is_dir() else []
        fitting = [path for path in candidates if (path / FILE).is_file() and _is_whisper(path)]
        if len(fitting) > 1:
            raise WeightError(
                f"More than one folder in {folder}/ is a Whisper of CTranslate2 "
                f"({', '.join(path.name for path in fitting)}): rename the one you mean to {FOLDER_NAMES[0]}."
            )
        if not fitting:
            raise WeightError(
                f"Content encoder '{cls.name}' needs a CTranslate2 folder of a Whisper, which does not ship with the "
                f"toolkit: get it from {ORIGIN}, and put it into {folder}/."
            )
        return fitting[0]

    def heard(self, mel: torch.Tensor) -> torch.Tensor:
        """See Whisper.heard."""
        import ctranslate2

        features = ctranslate2.StorageView.from_array(np.ascontiguousarray(mel.cpu().numpy()[None]))
        output = np.array(self._model.encode(features, to_cpu=True), dtype=np.float32)
        return self.combined([torch.from_numpy(output[0])])


def _opened(path: Path, device: str) -> Any:
    try:
        import ctranslate2
    except (ImportError, OSError):
        raise MissingExtraError("ctranslate2", "whisper-ct2", "Content encoder 'whisper_ct2'") from None
    kind, _, index = device.partition(":")
    try:
        return ctranslate2.models.Whisper(
            str(path),
            device=kind,
            device_index=int(index or 0),
            compute_type="float32",
            intra_threads=torch.get_num_threads(),
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"CTranslate2 cannot open {path} ({reason}): download the whole folder again.") from None


def _is_whisper(path: Path) -> bool:
    try:
        read_ct2_whisper(path)
    except CheckpointError:
        return False
    return True
