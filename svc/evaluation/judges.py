"""Judges from outside: networks that hear who sings, which words, and how natural it sounds.

They are an optional extra. Their files lie in ``$SVC_JUDGES`` (default ``~/svc-judges``), their packages come with
``pip install 'svc-toolkit[judges]'``; each is used if it is there, and missed by name if it is not. No judge may train,
filter, select or steer a model.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from svc.errors import SvcError, WeightError
from svc.weights import sha256_of

RATE = 16_000
VERIFIER_SHA256 = "53175130a8b7d56400dd0b9b8841d9bdb617d6793dcc45a88eefbf79e1cb4929"
WHISPER_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"


def judges_dir() -> Path:
    """Where the judges' files lie: $SVC_JUDGES, else ~/svc-judges."""
    return Path(os.environ.get("SVC_JUDGES", Path.home() / "svc-judges"))


class Verifier:
    """ResNet34 speaker verifier (ONNX): equal error 1.4 % on sung clips."""

    name = "resnet34"

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        path = _checked(folder / "verifier.onnx", VERIFIER_SHA256)
        self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def embed(self, samples: np.ndarray) -> np.ndarray:
        """Unit vector of who sings in mono samples (N,) at 16 kHz."""
        import torch
        from torchaudio.compliance.kaldi import fbank

        bands = fbank(
            torch.from_numpy(np.asarray(samples, dtype=np.float32))[None] * 32768.0,
            num_mel_bins=80,
            frame_length=25,
            frame_shift=10,
            sample_frequency=RATE,
            window_type="hamming",
            dither=0.0,
        )
        bands = bands - bands.mean(0)
        vector = self._session.run(None, {"input_features": bands[None].numpy()})[0][0]
        return vector / np.linalg.norm(vector)


class Words:
    """Whisper base through faster-whisper: which words are heard."""

    name = "whisper"

    def __init__(self, folder: Path) -> None:
        from faster_whisper import WhisperModel

        _checked(folder / "whisper" / "model.bin", WHISPER_SHA256)
        self._model = WhisperModel(str(folder / "whisper"), device="cpu", compute_type="int8", cpu_threads=2)

    def words(self, samples: np.ndarray, language: str = "en") -> list[str]:
        """Lower-case words without punctuation in mono samples (N,) at 16 kHz."""
        segments, _ = self._model.transcribe(
            np.asarray(samples, dtype=np.float32), language=language, beam_size=5, condition_on_previous_text=False
        )
        return plain_words(" ".join(segment.text for segment in segments))


class Naturalness:
    """DistilMOS: an estimate of the mean opinion score, 1 to 5."""

    name = "distillmos"

    def __init__(self, folder: Path) -> None:
        import distillmos

        self._model = distillmos.ConvTransformerSQAModel()
        self._model.eval()

    def score(self, samples: np.ndarray) -> float:
        """Mean opinion score, 1 to 5, of mono samples (N,) at 16 kHz."""
        import torch

        with torch.no_grad():
            return float(self._model(torch.from_numpy(np.asarray(samples, dtype=np.float32))[None])[0, 0])


@dataclass
class Judges:
    """The judges that are here; `missing` says for each of the others what is lacking."""

    verifier: Verifier | None = None
    words: Words | None = None
    naturalness: Naturalness | None = None
    missing: dict[str, str] = field(default_factory=dict)


def load_judges(folder: Path | None = None) -> Judges:
    """Every judge whose package and files are here, from `folder` (default `judges_dir()`)."""
    folder = folder or judges_dir()
    missing: dict[str, str] = {}

    def attempt(kind: Any) -> Any:
        try:
            return kind(folder)
        except ImportError as error:
            package = (error.name or str(error)).split(".")[0]
            missing[kind.name] = f"package '{package}' is not installed: pip install 'svc-toolkit[judges]'"
        except SvcError as error:
            missing[kind.name] = str(error)
        except Exception as error:  # a broken installation of a judge must not stop the figures that need none
            missing[kind.name] = f"cannot be loaded ({type(error).__name__}: {error})"
        return None

    return Judges(attempt(Verifier), attempt(Words), attempt(Naturalness), missing)


def plain_words(text: str) -> list[str]:
    """Lower-case words of a text, without punctuation."""
    return re.sub(r"[^\w ]", "", text.lower()).split()


def edit_distance(first: list[str], second: list[str]) -> int:
    """Fewest insertions, deletions and substitutions from one list to the other (Levenshtein)."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        previous, row[0] = row[:], i
        for j, b in enumerate(second, 1):
            row[j] = min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (a != b))
    return row[-1]


def word_error_rate(heard: list[str], reference: list[str]) -> float:
    """Edit distance over the number of reference words; NaN without reference words."""
    return edit_distance(reference, heard) / len(reference) if reference else float("nan")


def _checked(path: Path, sha256: str) -> Path:
    if not path.is_file():
        raise WeightError(f"{path} is missing: set SVC_JUDGES to the folder with the judges' files.")
    if sha256_of(path) != sha256:
        raise WeightError(f"{path} is not the expected file (its sha256 differs): fetch it again.")
    return path
