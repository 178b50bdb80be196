"""Published vocoders that turn mel spectrograms into audio: OpenVPI's NSF-HiFiGAN and pc-NSF-HiFiGAN, and HiFi-GAN.

A vocoder is a pair of files: the tensors ({'generator': ...}) and the config.json that came with them. The weights
of OpenVPI's vocoders are CC BY-NC-SA 4.0: they are never shipped, the user supplies them and may not use them, or what
is made with them, commercially. The official HiFi-GAN weights are MIT.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from svc.audio.signal import Audio
from svc.audio.spectrogram import MelSettings, log_mel
from svc.errors import AudioError, CheckpointError, ConfigError
from svc.models.vocoders.mel_hifigan import SINE_STAGE, MelHifigan, MelHifiganShape
from svc.safe_read import check_keys, read_torch

OPENVPI_LICENCE = "CC BY-NC-SA 4.0 (OpenVPI): not for commercial use"
LICENCES = {"none": "MIT (official HiFi-GAN)", "harmonics": OPENVPI_LICENCE, "sine": OPENVPI_LICENCE}
NAMES = {"none": "HiFi-GAN", "harmonics": "NSF-HiFiGAN", "sine": "pc-NSF-HiFiGAN"}
LN_10 = float(np.log(10))
WINDOW_FRAMES = 400
# Beyond what any published generator reaches to each side of a frame.
CONTEXT_FRAMES = 24
SEED = 0


@dataclass(frozen=True)
class Vocoder:
    """A vocoder ready to run, the mel spectrogram it reads, and the licence its weights come under."""

    network: MelHifigan
    mel: MelSettings
    device: str = "cpu"
    noise_sigma: float = 0.0

    @property
    def kind(self) -> str:
        """HiFi-GAN, NSF-HiFiGAN or pc-NSF-HiFiGAN."""
        return NAMES[self.network.shape.source]

    @property
    def licence(self) -> str:
        """What the published weights of this kind may be used for; a user's own training has its own."""
        return LICENCES[self.network.shape.source]

    def mel_of(self, samples: np.ndarray) -> np.ndarray:
        """Natural-log mels (mels, T) float32 of samples (N,) at the vocoder's rate, T = ceil(N / hop)."""
        wave = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))[None].to(self.device)
        with torch.inference_mode():
            return log_mel(wave, self.mel)[0].cpu().numpy()

    def synthesize(
        self,
        mel: np.ndarray,
        f0_hz: np.ndarray | None = None,
        mel_base: str = "e",
        progress: Callable[[float], None] | None = None,
    ) -> np.ndarray:
        """Audio (T * hop,) float32 of log mels (mels, T).

        Args:
            mel: logarithms of base `mel_base`, "e" or "10" (some DiffSinger models).
            f0_hz: (T,), 0 where unvoiced; needed by the kinds with a source.
            progress: called with 0..1.

        Windows of 400 frames with context are run one by one; their sources continue each other's phase and noise, so
        memory is flat beyond the result and the seams are those of float32 rounding.
        """
        values = torch.from_numpy(np.ascontiguousarray(mel, dtype=np.float32))
        if mel_base not in ("e", "10"):
            raise ConfigError(f"The base of the mel's logarithm is 'e' or '10', not '{mel_base}'.")
        if values.ndim != 2 or values.shape[0] != self.mel.n_mels or not values.shape[1]:
            raise AudioError(f"This vocoder reads mels of shape ({self.mel.n_mels}, T), got {tuple(values.shape)}.")
        values = values * LN_10 if mel_base == "10" else values
        frames, hop = values.shape[1], self.mel.hop_length
        f0, starts, noise = self._excitation(f0_hz, frames)
        latent = self._latent_noise(frames)
        out = np.empty(frames * hop, dtype=np.float32)
        for first in range(0, frames, WINDOW_FRAMES):
            last = min(frames, first + WINDOW_FRAMES)
            a, b = max(0, first - CONTEXT_FRAMES), min(frames, last + CONTEXT_FRAMES)
            with torch.inference_mode():
                source = None
                if f0 is not None and starts is not None:
                    part = noise[:, a * hop : b * hop].to(self.device) if noise is not None else None
                    # One frame more, since a sine's F0 runs towards the next frame.
                    source = self.network.make_source(f0[:, a : b + 1], starts[:, a], _longer(part, f0, a, b, hop))
                    source = source[..., : (b - a) * (source.shape[-1] // f0[:, a : b + 1].shape[1])]
                hidden = latent[:, :, a:b].to(self.device) if latent is not None else None
                audio = self.network.generate(values[None, :, a:b].to(self.device), source, hidden)[0, 0]
            out[first * hop : last * hop] = audio[(first - a) * hop : (last - a) * hop].cpu().numpy()
            if progress:
                progress(last / frames)
        return out

    def copy(
        self,
        audio: Audio,
        pitch_estimator: str = "fcpe",
        progress: Callable[[float], None] | None = None,
    ) -> Audio:
        """The same recording, mono, taken apart into mels and F0 and made anew; as long as the input."""
        from svc.pitch.editing import fill_unvoiced
        from svc.registry import PITCH_ESTIMATORS

        own = audio.mono().resampled(self.mel.sample_rate)
        if not own.length:
            raise AudioError("An empty recording cannot be vocoded: choose one that holds sound.")
        mel = self.mel_of(own.samples[0])
        f0 = None
        if self.network.shape.source != "none":
            times = (np.arange(mel.shape[1]) + 0.5) * self.mel.hop_length / self.mel.sample_rate
            track = PITCH_ESTIMATORS.create(pitch_estimator, device=self.device).estimate(
                own.samples[0], own.sample_rate, times
            )
            f0 = fill_unvoiced(track.f0_hz)
        made = self.synthesize(mel, f0, progress=progress)[: own.length]
        return Audio(made[None], own.sample_rate)

    def _excitation(self, f0_hz: np.ndarray | None, frames: int) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """F0 (1, T), the phase (1, T) before each frame, and one noise (1, T * hop) for all sines, as needed."""
        if self.network.shape.source == "none":
            return None, None, None
        if f0_hz is None or np.shape(f0_hz) != (frames,):
            raise AudioError(f"{self.kind} needs F0 for each of the {frames} mel frames: give f0_hz of that length.")
        f0 = torch.from_numpy(np.ascontiguousarray(f0_hz, dtype=np.float32))[None].to(self.device)
        noise = None
        if self.network.shape.source == "harmonics":
            generator = torch.Generator().manual_seed(SEED)
            noise = torch.randn(1, frames * self.mel.hop_length, generator=generator)
        return f0, self.network.phases(f0), noise

    def _latent_noise(self, frames: int) -> Tensor | None:
        if not self.noise_sigma:
            return None
        generator = torch.Generator().manual_seed(SEED)
        # Drawn frame by frame, so that the noise of a frame does not depend on the length of the song.
        drawn = torch.randn(frames, self.network.shape.width, generator=generator)
        return self.noise_sigma * drawn.T[None]


def _longer(noise: Tensor | None, f0: Tensor, a: int, b: int, hop: int) -> Tensor | None:
    """Noise for the one frame more, which is cut off again."""
    if noise is None:
        return None
    return functional.pad(noise, (0, f0[:, a : b + 1].shape[1] * hop - noise.shape[1]))


def load_vocoder(path: Path, config_path: Path | None = None, device: str = "cpu") -> Vocoder:
    """The vocoder in `path`, whose settings lie in the config.json beside it unless `config_path` says otherwise.

    Reads {'generator': tensors}, bare tensors, and training files with 'state_dict'; weight norm in old or new names,
    or already fused. Structure is read from the tensors, and a setting that contradicts them is an error. Raises
    CheckpointError.
    """
    path = Path(path)
    config_path = Path(config_path) if config_path else path.parent / "config.json"
    state = _generator(read_torch(path), path)
    settings = _Settings(config_path, path)
    shape = _shape(state, settings, path)
    mel = MelSettings(
        sample_rate=shape.sample_rate,
        n_fft=settings.number("n_fft"),
        hop_length=shape.hop_length,
        n_mels=shape.mels,
        fmin=float(settings.values.get("fmin") or 0.0),
        fmax=float(settings.values["fmax"]) if settings.values.get("fmax") else None,
        # The official HiFi-GAN and the first OpenVPI release have 1e-9 inside the root.
        eps=1e-9 if shape.source == "none" else 0.0,
    )
    settings.must_be("win_size", mel.n_fft, "a window shorter than the FFT is not supported")
    network = MelHifigan(shape)
    wanted = network.state_dict()
    check_keys(state, {k: tuple(v.shape) for k, v in wanted.items()}, f"The {NAMES[shape.source]} file {path}")
    network.load_state_dict({name: value.float() for name, value in state.items()}, strict=True)
    sigma = settings.values.get("noise_sigma") or 0.0
    if not isinstance(sigma, int | float) or sigma < 0:
        raise settings.error(f"says noise_sigma = {sigma!r}, which must be a number of at least 0")
    return Vocoder(network.to(device).eval(), mel, device, float(sigma))


def _generator(content: Any, path: Path) -> dict[str, Tensor]:
    """Tensors by our names from whatever container."""
    if isinstance(content, Mapping) and isinstance(content.get("generator"), Mapping):
        content = content["generator"]
    elif isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        prefix = "generator."
        content = {k[len(prefix) :]: v for k, v in content["state_dict"].items() if str(k).startswith(prefix)}
    if not isinstance(content, Mapping) or not any(str(name).startswith("conv_pre.") for name in content):
        raise CheckpointError(
            f"{path} is not a vocoder of the HiFi-GAN family: use the generator file of OpenVPI's NSF-HiFiGAN "
            "(CC BY-NC-SA 4.0, your own copy) or of HiFi-GAN."
        )
    state: dict[str, Tensor] = {}
    for name, value in content.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(f"{path} holds a {type(value).__name__} called {name} instead of a tensor.")
        state[_renamed(str(name))] = value
    # Weight norm that was fused is taken apart again: magnitude times direction gives the same weight.
    for name in [n for n in state if re.fullmatch(r"(conv_pre|conv_post|ups\.\d+|resblocks\..*)\.weight", n)]:
        weight = state.pop(name).float()
        state[f"{name[:-7]}.parametrizations.weight.original0"] = weight.flatten(1).norm(dim=1).view(-1, 1, 1)
        state[f"{name[:-7]}.parametrizations.weight.original1"] = weight
    return state


def _renamed(name: str) -> str:
    name = re.sub(r"\.weight_g$", ".parametrizations.weight.original0", name)
    name = re.sub(r"\.weight_v$", ".parametrizations.weight.original1", name)
    return re.sub(r"^m_source\.l_linear\.", "source.linear.", name)


class _Settings:
    """config.json of a vocoder, asked by name; what is missing or contradicts the tensors is an error naming it."""

    def __init__(self, path: Path, weights: Path) -> None:
        if not path.is_file():
            raise CheckpointError(
                f"There is no {path.name} for the vocoder {weights}: put the one that came with it beside it."
            )
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            values = None
        if not isinstance(values, dict):
            raise CheckpointError(f"{path} is not the JSON settings of a vocoder: copy the one that came with it.")
        self.path, self.values = path, values

    def number(self, name: str) -> int:
        value = self.values.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise self.error(f"lacks a whole number for '{name}'")
        return value

    def numbers(self, name: str, values: Any = None) -> tuple[int, ...]:
        values = self.values.get(name) if values is None else values
        whole = isinstance(values, list) and all(type(v) is int and v > 0 for v in values)
        if not whole or not values:
            raise self.error(f"lacks a list of whole numbers for '{name}'")
        return tuple(values)

    def must_be(self, name: str, found: Any, why: str = "the tensors say so") -> None:
        said = self.values.get(name, found)
        if list(said) != list(found) if isinstance(found, tuple) and isinstance(said, list) else said != found:
            shown = list(found) if isinstance(found, tuple) else found
            raise self.error(f"says {name} = {said}, but it must be {shown} ({why})")

    def error(self, what: str) -> CheckpointError:
        return CheckpointError(f"{self.path} {what}: use the config.json that came with the vocoder.")


def _shape(state: dict[str, Tensor], settings: _Settings, path: Path) -> MelHifiganShape:
    """Structure from the tensors; what they cannot tell (rates, dilations, sample rate) from the settings."""

    def size(name: str, dimension: int) -> int:
        tensor = state.get(f"{name}.parametrizations.weight.original1")
        if tensor is None or tensor.ndim != 3:
            raise CheckpointError(f"{path} lacks a usable {name}.weight: download or copy it again.")
        return tensor.shape[dimension]

    stages = len({m[1] for name in state if (m := re.match(r"ups\.(\d+)\.", name))})
    blocks = len({m[1] for name in state if (m := re.match(r"resblocks\.(\d+)\.", name))})
    if not stages or not blocks or blocks % stages:
        raise CheckpointError(f"{path} has {stages} upsampling stages and {blocks} residual blocks: copy it again.")
    first = "resblocks.{}.convs1.0" if any(".convs1." in name for name in state) else "resblocks.{}.convs.0"
    resblock = 1 if "convs1" in first else 2
    kernels = tuple(size(f"ups.{i}", 2) for i in range(stages))
    block_kernels = tuple(size(first.format(i), 2) for i in range(blocks // stages))
    source = "sine" if "source_conv.weight" in state else "harmonics" if "noise_convs.0.weight" in state else "none"
    mels, width = size("conv_pre", 1), size("conv_pre", 0)
    settings.must_be("num_mels", mels)
    settings.must_be("upsample_initial_channel", width)
    settings.must_be("upsample_kernel_sizes", kernels)
    settings.must_be("resblock_kernel_sizes", block_kernels)
    settings.must_be("mini_nsf", source == "sine")
    if str(settings.values.get("resblock", resblock)) != str(resblock):
        settings.must_be("resblock", str(resblock))
    rates = settings.numbers("upsample_rates")
    if len(rates) != stages:
        raise settings.error(f"names {len(rates)} upsample_rates, but {path.name} has {stages} stages")
    for rate, kernel in zip(rates, kernels):
        if kernel < rate or (kernel - rate) % 2:
            raise settings.error(f"says an upsampling rate of {rate}, which does not fit its kernel of {kernel}")
    if width % (1 << stages) or (source == "sine" and stages <= SINE_STAGE):
        raise CheckpointError(f"{path} has {width} channels, which {stages} stages cannot halve: copy it again.")
    settings.must_be("hop_size", int(np.prod(rates)), "the product of upsample_rates")
    dilations = settings.values.get("resblock_dilation_sizes")
    if not isinstance(dilations, list) or len(dilations) != len(block_kernels):
        raise settings.error("lacks one list of resblock_dilation_sizes for each kernel")
    return MelHifiganShape(
        mels=mels,
        width=width,
        upsample_rates=rates,
        upsample_kernels=kernels,
        resblock=resblock,
        resblock_kernels=block_kernels,
        resblock_dilations=tuple(settings.numbers("resblock_dilation_sizes", one) for one in dilations),
        sample_rate=settings.number("sampling_rate"),
        source=source,
    )
