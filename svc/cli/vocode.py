"""`svc vocode`: a recording made anew by a published vocoder, to hear what one costs."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from svc.cli.console import emit, say, stage
from svc.cli.options import Device, Json, UsageError, pick_device, require_exists
from svc.config import FeatureConfig
from svc.registry import PITCH_ESTIMATORS

ENDINGS = (".wav", ".flac", ".mp3", ".ogg")
_DEFAULTS = FeatureConfig()
Method = Annotated[str, Parameter(help=f"F0 for vocoders with a source: {', '.join(PITCH_ESTIMATORS.names())}.")]


def vocode(
    file: Path,
    *,
    vocoder: Path,
    output: Path,
    config: Path | None = None,
    pitch_estimator: Method = _DEFAULTS.pitch_estimator,
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Take a recording apart into mel spectrogram and F0 and let a vocoder make it anew (copy-synthesis).

    What is lost there, the vocoder would cost any voice that uses it.

    Parameters
    ----------
    file
        A recording of one voice.
    vocoder
        Generator file of HiFi-GAN, NSF-HiFiGAN or pc-NSF-HiFiGAN.
    output
        The audio file, mono at the vocoder's rate: .wav, .flac, .mp3 or .ogg.
    config
        Its config.json, where that does not lie beside it.
    """
    from svc.audio.reading import read_audio
    from svc.audio.writing import write_audio
    from svc.checkpoint.vocoder import load_vocoder

    PITCH_ESTIMATORS.require(pitch_estimator)
    if output.suffix.lower() not in ENDINGS:
        raise UsageError(f"{output} is to hold audio: give it the ending {', '.join(ENDINGS)}.")
    require_exists(file, "recording")
    require_exists(vocoder, "vocoder")
    loaded = load_vocoder(vocoder, config, pick_device(device))
    say(f"{loaded.kind}, {loaded.mel.sample_rate} Hz, {loaded.mel.n_mels} mel bands. Licence: {loaded.licence}.")
    audio = read_audio(file)
    with stage("Vocoding") as update:
        made = loaded.copy(audio, pitch_estimator, update)
    write_audio(output, made)
    result = {"output": str(output), "vocoder": loaded.kind, "seconds": round(made.seconds, 3)}
    emit(
        result | {"sample_rate": made.sample_rate, "licence": loaded.licence}, json, f"{made.seconds:.1f} s -> {output}"
    )
    return 0
