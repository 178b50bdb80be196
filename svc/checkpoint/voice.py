"""The voice file: everything needed to convert with a voice, in one file that is safe to share.

A safetensors file whose metadata holds one JSON string under "svc_voice"::

    {"format_version": 1, "model": {...}, "spec": {...}, "speakers": [...],
     "provenance": {...}, "note": "...", "sha256": "..."}

`sha256` covers the rest of that JSON and every tensor with its name, type and shape, so a flipped bit
anywhere is found. Nothing in the file is executed: pickles are refused unopened.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from svc.config import ModelConfig
from svc.errors import CheckpointError, ConfigError
from svc.features.spec import FeatureSpec
from svc.settings import build

if TYPE_CHECKING:
    from svc.models.vits.voice_model import VoiceModel, VoiceShape

FORMAT_VERSION = 1
METADATA_KEY = "svc_voice"
TRAINING_PREFIX = "posterior."
HEAD_PREFIX = "frame_head."
# Parts that conversion does not use.
TRAINING_PREFIXES = (TRAINING_PREFIX, HEAD_PREFIX)


@dataclass(frozen=True)
class SpeakerInfo:
    """A singer of a voice: minutes of training audio and the sung range (5 %, median, 95 % of F0) in Hz.

    level_db: how loud those recordings usually are (`svc.audio.loudness.sounding_level_db`), None where nobody knows:
    imported voices, and those trained before it was kept.
    """

    name: str
    minutes: float
    f0_low_hz: float
    f0_median_hz: float
    f0_high_hz: float
    level_db: float | None = None


@dataclass
class Voice:
    """A trained voice.

    state maps parameter names of VoiceModel to tensors (weight norm not folded), with or without the
    posterior encoder; provenance is plain data on how it was made; note tells licence and consent.
    """

    config: ModelConfig
    spec: FeatureSpec
    speakers: list[SpeakerInfo]
    state: dict[str, Tensor]
    provenance: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    @property
    def has_training_parts(self) -> bool:
        """Whether training can go on from this file: the posterior encoder is there, or the model has none."""
        return self.config.latent == "direct" or any(key.startswith(TRAINING_PREFIX) for key in self.state)

    @property
    def shape(self) -> "VoiceShape":
        """The sizes of the model that do not stand in its config."""
        from svc.models.vits.voice_model import VoiceShape

        spec = self.spec
        return VoiceShape(
            spec.content_dim,
            spec.sample_rate,
            spec.hop_length,
            spec.n_fft,
            len(self.speakers),
            spec.stacked_layers,
        )

    def speaker_index(self, name: str | None = None) -> int:
        """Number of the speaker called `name`, of the first for None; CheckpointError names the choices."""
        names = [speaker.name for speaker in self.speakers]
        if name is None:
            return 0
        if name not in names:
            raise CheckpointError(f"This voice has no speaker '{name}': choose one of {', '.join(names)}.")
        return names.index(name)

    def build(self, device: "torch.device | str" = "cpu", inference: bool = True) -> "VoiceModel":
        """The model with these weights, float32, in eval mode on `device`.

        For `inference` the weight norm is folded, the posterior encoder left out and gradients are off;
        otherwise the model can be trained further. Raises CheckpointError naming every weight that is
        missing, unexpected or of another shape.
        """
        model = self._unfilled_model()
        state = self.state
        if inference:
            model.posterior = model.frame_head = None
            state = without_training_parts(state)
        model.load_state_dict(state, strict=True)
        model.eval()
        if inference:
            model.fuse()
            model.requires_grad_(False)
        return model.to(device)

    def check(self) -> None:
        """Raise CheckpointError unless the weights are exactly those that config, spec and speakers ask for."""
        self._unfilled_model()

    def _unfilled_model(self) -> "VoiceModel":
        """A model that the weights fit, still without them."""
        from svc.models.vits.voice_model import VoiceModel

        if not self.speakers:
            raise CheckpointError("The voice names no speaker: export it again from its training run.")
        try:
            # What initialisation still draws must not move the caller's random numbers.
            with torch.random.fork_rng(devices=[]), _NoInitialValues():
                head = any(key.startswith(HEAD_PREFIX) for key in self.state)
                model = VoiceModel(self.config, self.shape, self.has_training_parts, head)
        except ConfigError as error:
            raise CheckpointError(f"The voice's settings do not fit together: {error}") from error
        expected = model.state_dict()
        missing = [key for key in expected if key not in self.state]
        extra = [key for key in self.state if key not in expected]
        if missing or extra:
            parts = [f"missing {_listing(missing)}"] if missing else []
            parts += [f"unexpected {_listing(extra)}"] if extra else []
            raise CheckpointError(
                f"The voice's weights do not fit its settings ({'; '.join(parts)}): "
                "export it again from its training run."
            )
        wrong = [
            f"{key} {list(self.state[key].shape)} instead of {list(value.shape)}"
            for key, value in expected.items()
            if self.state[key].shape != value.shape
        ]
        if wrong:
            raise CheckpointError(
                f"The voice's weights have other shapes than its settings say ({_listing(wrong)}): "
                "export it again from its training run."
            )
        return model


class _NoInitialValues(TorchFunctionMode):
    """Leaves new weights unset: they are about to be overwritten, and drawing them takes most of the time."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (Tensor.normal_, Tensor.uniform_):
            return args[0]
        return func(*args, **(kwargs or {}))


def without_training_parts(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """`state` without the weights that only training uses."""
    return {key: value for key, value in state.items() if not key.startswith(TRAINING_PREFIXES)}


def save_voice(
    path: "str | os.PathLike[str]",
    voice: Voice,
    precision: Literal["fp32", "fp16"] = "fp32",
    training_parts: bool = True,
) -> None:
    """Write `voice` to `path`, whole or not at all.

    "fp16" halves the size; `training_parts` False leaves the posterior encoder out. Raises
    CheckpointError when weights do not fit the settings, are not finite, or the file cannot be written.
    """
    from safetensors.torch import save

    voice.check()
    state = voice.state if training_parts else without_training_parts(voice.state)
    dtype = torch.float16 if precision == "fp16" else torch.float32
    tensors = {}
    for key, value in sorted(state.items()):
        # A copy: safetensors refuses tensors that share memory.
        stored = value.detach().to("cpu", dtype if value.is_floating_point() else value.dtype, copy=True).contiguous()
        if not torch.isfinite(stored).all():
            raise CheckpointError(
                f"The weight {key} holds values that are not finite in {precision}: "
                "the training went wrong, export an earlier checkpoint."
            )
        tensors[key] = stored
    header = {
        "format_version": FORMAT_VERSION,
        "model": voice.config.model_dump(mode="json"),
        "spec": voice.spec.to_dict(),
        "speakers": [asdict(speaker) for speaker in voice.speakers],
        "provenance": voice.provenance,
        "note": voice.note,
    }
    try:
        text = json.dumps(header, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"The voice's description is not plain data ({error}): keep to text and numbers."
        ) from error
    # Hashed as it will be read back, where JSON knows no tuples and all keys are strings.
    header = json.loads(text)
    header["sha256"] = _digest(header, tensors)
    _write_atomic(Path(path), save(tensors, metadata={METADATA_KEY: json.dumps(header)}))


def load_voice(path: "str | os.PathLike[str]") -> Voice:
    """The voice in the file at `path`, checked whole.

    Raises CheckpointError in one sentence for a file that cannot be read, is no voice (a pickle, other
    weights), is damaged or incomplete, comes from a newer version, or whose weights do not fit.
    """
    path = Path(path)
    _refuse_foreign(path)
    header, tensors = _read(path)
    _check_version(path, header)
    expected = header.pop("sha256", None)
    if expected != _digest(header, tensors):
        raise CheckpointError(
            f"{path} is damaged (its checksum does not match): copy it again from where it came, or export it again."
        )
    try:
        voice = Voice(
            config=build(ModelConfig, header["model"], str(path)),
            spec=FeatureSpec.from_dict(header["spec"]),
            speakers=[_speaker(entry) for entry in header["speakers"]],
            state=tensors,
            provenance=dict(header["provenance"]),
            note=str(header["note"]),
        )
    except ConfigError as error:
        raise CheckpointError(f"{path} holds settings this program does not know: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{path} lacks a part of a voice's description ({type(error).__name__}: {error}): export it again."
        ) from error
    try:
        voice.check()
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return voice


def _refuse_foreign(path: Path) -> None:
    """CheckpointError for what is plainly another kind of file, told by its first bytes, never opened."""
    try:
        with open(path, "rb") as file:
            start = file.read(16)
    except OSError as error:
        raise CheckpointError(f"Cannot read the voice {path}: {error.strerror or error}.") from error
    if start[8:9] == b"{" and len(start) > 9:
        return
    if start[:4] == b"PK\x03\x04" or start[:1] == b"\x80":
        raise CheckpointError(
            f"{path} is a pickle (a PyTorch file), which could run a program when opened, so it is not opened: "
            "choose the voice.safetensors of a training run."
        )
    raise CheckpointError(f"{path} is not a voice file: choose the voice.safetensors of a training run.")


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            text = (file.metadata() or {}).get(METADATA_KEY)
            # Cloned out of the mapped file, which may be replaced while the voice is in use.
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()} if text else {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is damaged or incomplete: copy it again from where it came, or export it again."
        ) from error
    if not text:
        raise CheckpointError(f"{path} holds weights but no voice: choose the voice.safetensors of a training run.")
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged (its description is unreadable): copy it again.") from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{path} is damaged (its description is unreadable): copy it again.")
    return header, tensors


def _check_version(path: Path, header: dict[str, Any]) -> None:
    version = header.get("format_version")
    if type(version) is not int or version < 1:
        raise CheckpointError(f"{path} does not say which version of the voice format it is: export it again.")
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path} was made by a newer version of the toolkit (voice format {version}, this program knows "
            f"{FORMAT_VERSION}): update the toolkit."
        )


def _speaker(entry: dict[str, Any]) -> SpeakerInfo:
    numbers = {key: float(value) for key, value in entry.items() if key != "name" and value is not None}
    return SpeakerInfo(name=str(entry["name"]), **numbers)


def _digest(header: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    """sha256 in hex of the description and all tensors, independent of their order in the file."""
    total = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for key in sorted(tensors):
        value = tensors[key].contiguous()
        total.update(f"\n{key} {value.dtype} {list(value.shape)}\n".encode())
        total.update(value.flatten().view(torch.uint8).numpy().data)
    return total.hexdigest()


def _listing(names: list[str], shown: int = 3) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _write_atomic(path: Path, data: bytes) -> None:
    # Beside the target, so that replacing stays on one disk; not a private temporary file, since it is to be shared.
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(part, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise CheckpointError(
            f"Cannot write the voice {path}: {error.strerror or error}; free space or choose another folder."
        ) from error
