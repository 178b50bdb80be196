"""Every setting a user can change, with its unit, range and meaning.

Command-line flags, web widgets and the reference page are generated from these fields.
Importing this module imports no tensor library, so `svc --help` answers at once.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from svc.errors import ConfigError
from svc.registry import (
    CONTENT_ENCODERS,
    DECODERS,
    DEFAULT_SEPARATOR,
    DISCRIMINATORS,
    PITCH_ESTIMATORS,
    SEPARATORS,
    SLICERS,
)
from svc.settings import Settings, build, choice, merge


class FeatureConfig(Settings):
    """What is measured from audio; fixed at prepare time and stored in the voice file."""

    sample_rate: int = Field(44_100, ge=16_000, le=48_000, description="Rate of the voice's audio in Hz.")
    hop_length: int = Field(512, ge=128, le=1024, description="Samples per feature frame.")
    n_fft: int = Field(2048, ge=512, le=8192, description="FFT and window size of spectrograms in samples.")
    n_mels: int = Field(80, ge=40, le=256, description="Mel bands of the training loss.")
    mel_fmin_hz: float = Field(0.0, ge=0, description="Lowest mel frequency in Hz.")
    mel_fmax_hz: float | None = Field(None, description="Highest mel frequency in Hz; empty means half the rate.")
    content_encoder: str = choice(CONTENT_ENCODERS, "moonshine", "Network that hears what is sung.")
    content_layers: dict[str, float] = Field(
        default_factory=dict,
        description="Encoder layers and their weights; empty means the encoder's recommended mix.",
    )
    content_layers_mode: Literal["sum", "stack"] = Field(
        "sum",
        description="sum: the weighted layers are added up; stack: kept side by side, and the voice learns their mix.",
    )
    content_normalisation: Literal["none", "adaptive", "recording"] = Field(
        "adaptive", description="How the mean and variance of content frames are removed; see docs/features.md."
    )
    content_alignment: Literal["linear", "left", "nearest", "repeat"] = Field(
        "linear",
        description="How the encoder's frames become the voice's: read between them, or repeated as so-vits-svc (left, "
        "nearest) and RVC (repeat) do; for training imported voices further.",
    )
    loudness_window: Literal["fft", "hop", "hop_start"] = Field(
        "fft",
        description="Samples a frame's loudness is measured over: n_fft around it, its hop (so-vits-svc 4.1-Latest) or "
        "one hop around its first sample (4.1-Stable).",
    )
    pitch_estimator: str = choice(PITCH_ESTIMATORS, "fcpe", "F0 estimator.")
    f0_min_hz: float = Field(50.0, ge=20, le=500, description="Lowest F0 looked for, in Hz.")
    f0_max_hz: float = Field(1_100.0, ge=200, le=2_000, description="Highest F0 looked for, in Hz.")
    f0_median_frames: int = Field(0, ge=0, le=15, description="Median smoothing of F0 in frames; 0 is off.")


class PrepareConfig(Settings):
    """How raw songs become training slices."""

    separate: str = choice(SEPARATORS, DEFAULT_SEPARATOR, "How vocals are taken out of songs; 'none' for dry vocals.")
    separate_model: str | None = Field(
        None, description="Model that takes them out: a file, a name of `svc weights list`, or of a file in pretrain/."
    )
    slicer: str = choice(SLICERS, "quiet", "How recordings are cut.")
    slice_min_seconds: float = Field(5.0, ge=1, le=30, description="Shortest slice in seconds.")
    slice_max_seconds: float = Field(15.0, ge=2, le=60, description="Longest slice in seconds.")
    validation_fraction: float = Field(0.05, ge=0, le=0.5, description="Share of recordings held out for validation.")
    workers: int = Field(0, ge=0, le=64, description="Parallel processes; 0 chooses from the processor count.")
    keep_flagged: bool = Field(False, description="Keep slices the doctor would drop.")


class ModelConfig(Settings):
    """Shape of the voice model; presets are `fast` and `quality` (configs/*.yaml)."""

    hidden_channels: int = Field(192, ge=4, description="Width of the prior encoder.")
    inter_channels: int = Field(192, ge=2, description="Width of the latent z.")
    filter_channels: int = Field(768, ge=4, description="Width inside the prior's feed-forward layers.")
    prior_layers: int = Field(6, ge=1, le=24, description="Attention layers of the prior encoder.")
    prior_heads: int = Field(2, ge=1, le=16, description="Attention heads of the prior encoder.")
    prior_kernel_size: int = Field(3, ge=1, le=15, description="Kernel of the prior's feed-forward layers.")
    attention_window: int = Field(4, ge=1, le=64, description="Relative positions known to each side, in frames.")
    dropout: float = Field(0.1, ge=0, le=0.9, description="Dropout of the prior encoder.")
    posterior_layers: int = Field(16, ge=1, le=32, description="WaveNet layers of the posterior encoder.")
    flow_couplings: int = Field(4, ge=1, le=16, description="Coupling layers of the flow.")
    flow_wavenet_layers: int = Field(4, ge=1, le=16, description="Layers of the network inside each coupling.")
    flow_network: Literal["wavenet", "attention"] = Field(
        "wavenet", description="Network inside each coupling; attention as so-vits-svc's use_transformer_flow."
    )
    speaker_channels: int = Field(256, ge=4, description="Width of the speaker embedding.")
    predict_f0: bool = Field(True, description="Train an F0 predictor (used for speech input).")
    f0_predictor_layers: int = Field(6, ge=1, le=24, description="Attention layers of the F0 predictor.")
    decoder: str = choice(DECODERS, "nsf_istft", "Waveform generator.")
    decoder_channels: int = Field(384, ge=8, description="Width of the decoder (initial width for nsf_hifigan).")
    decoder_layers: int = Field(8, ge=1, le=32, description="ConvNeXt blocks of nsf_istft (unused by nsf_hifigan).")
    upsample_rates: tuple[int, ...] = Field((8, 8, 2, 2, 2), description="Upsampling of nsf_hifigan; product = hop.")
    upsample_kernel_sizes: tuple[int, ...] = Field((16, 16, 4, 4, 4), description="Kernels of the upsampling.")
    resblock_kernel_sizes: tuple[int, ...] = Field((3, 7, 11), description="Kernels of nsf_hifigan's resblocks.")
    resblock_dilations: tuple[tuple[int, ...], ...] = Field(
        ((1, 3, 5), (1, 3, 5), (1, 3, 5)), description="Dilations of nsf_hifigan's resblocks."
    )
    source_harmonics: int = Field(8, ge=0, le=64, description="Overtones of nsf_hifigan's harmonic source.")
    source_noise: bool = Field(True, description="Noise in nsf_hifigan's source; so-vits-svc 4.1-Latest has none.")
    pitch_input: Literal["fourier", "binned", "binned_41", "none"] = Field(
        "fourier",
        description="How the prior is told F0: waves of log F0, or 256 bins as in so-vits-svc 4.0 and RVC, or 4.1; "
        "none for voices without F0 (nsf_hifigan then has no harmonic source).",
    )
    loudness_input: Literal["db", "rms", "none"] = Field(
        "db", description="Form of the loudness the prior is told; rms as in so-vits-svc, none to leave it out."
    )
    voicing_input: bool = Field(True, description="Tell the prior which frames are voiced.")
    content_kernel_size: int = Field(5, ge=1, le=15, description="Kernel of the first layer over content frames; odd.")
    content_reader_channels: int = Field(
        0,
        ge=0,
        le=1024,
        description="Width of dilated convolutions that read content beside the first layer; 0 for none.",
    )
    unvoiced_f0: Literal["filled", "filled_hz", "zero"] = Field(
        "filled",
        description="F0 the model gets in unvoiced frames: a line between its neighbours, in the logarithm or in Hz as "
        "so-vits-svc, or 0 as older RVC.",
    )
    prior_scaled_input: bool = Field(False, description="Scale the prior's input by its width's root, as RVC does.")
    wavenet_depthwise: bool = Field(False, description="Separable convolutions in posterior and flow (tiny voices).")
    flow_shared: bool = Field(False, description="One WaveNet for all couplings of the flow (tiny voices).")
    decoder_plain_ends: bool = Field(
        False, description="nsf_hifigan without weight norm at its ends and without its last bias, as in RVC."
    )
    prompt_encoder: bool = Field(
        False, description="A network that hears who sings from some seconds of audio, beside the speaker table."
    )
    latent: Literal["variational", "direct"] = Field(
        "variational",
        description="variational: a posterior encoder reads recordings and the prior learns from it (VITS); direct: "
        "the decoder learns from the prior's mean alone, with no posterior, which takes far fewer steps.",
    )
    formant_input: bool = Field(False, description="Tell the model a formant shift; needed for the formant slider.")


HeldPart = Literal["content_input", "prior", "f0_predictor", "flow", "decoder"]


class LossWeights(Settings):
    """Weight of each training loss, by its name in logs; 0 switches one off."""

    mel: float = Field(45.0, ge=0, description="Multi-scale log-mel distance.")
    kl: float = Field(1.0, ge=0, description="KL between posterior and prior.")
    feature_matching: float = Field(2.0, ge=0, description="Distance of discriminator features.")
    adversarial: float = Field(1.0, ge=0, description="Generator's adversarial loss.")
    f0: float = Field(1.0, ge=0, description="F0 prediction (log scale).")
    highs: float = Field(
        0.0, ge=0, description="Log-mel distance to what the base sings, above the recordings' bandwidth."
    )
    prior_mel: float = Field(0.0, ge=0, description="Log-mel distance of audio decoded from the prior's mean.")
    frame_mel: float = Field(0.0, ge=0, description="Log-mel distance of all frames, read off the prior's encoder.")
    prompt: float = Field(20.0, ge=0, description="Distance of prompt encoder and speaker table.")


class TrainConfig(Settings):
    """How a voice is trained."""

    batch_size: int = Field(8, ge=1, le=512, description="Slices per step and device.")
    slice_frames: int = Field(172, ge=16, le=4000, description="Frames of a slice seen by encoders and flow per step.")
    segment_frames: int = Field(48, ge=8, le=400, description="Frames decoded to audio per slice and step.")
    adversarial_frames: int = Field(
        24, ge=8, le=400, description="Frames of the decoded segment, drawn at random, that the discriminators see."
    )
    learning_rate: float = Field(2e-4, gt=0, le=0.1, description="Initial learning rate.")
    discriminator_learning_rate: float = Field(2e-4, gt=0, le=0.1, description="The discriminators' learning rate.")
    lr_decay: float = Field(0.9999, gt=0, le=1, description="Learning-rate factor applied every 100 steps.")
    lr_end: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of the learning rates that is left when max_steps or max_minutes are over; they sink to it "
        "along half a cosine. 1 leaves them to lr_decay.",
    )
    warmup_steps: int = Field(100, ge=0, description="Steps of linear learning-rate rise.")
    adam_betas: tuple[float, float] = Field((0.8, 0.99), description="AdamW betas.")
    weight_decay: float = Field(0.01, ge=0, description="AdamW weight decay.")
    gradient_clip: float = Field(100.0, gt=0, description="Gradient norm limit of the generator.")
    max_steps: int = Field(20_000, ge=1, description="Stop after this many steps.")
    max_minutes: float | None = Field(None, gt=0, description="Stop after this many minutes; empty means no limit.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="Number format; auto is bf16 where the device is fast at it."
    )
    accumulate: int = Field(1, ge=1, le=64, description="Batches whose gradients are summed before an update.")
    ema_decay: float = Field(0.999, ge=0, lt=1, description="Decay of the averaged weights that are exported.")
    discriminator: str = choice(DISCRIMINATORS, "light", "Discriminators the generator trains against.")
    extra_discriminators: tuple[str, ...] = Field((), description="Further discriminators, by name.")
    adversarial_start_step: int = Field(0, ge=0, description="Step from which discriminators are used.")
    adversarial_every: int = Field(
        1, ge=1, le=16, description="Steps per use of the discriminators; 2 leaves out every other one to save time."
    )
    prior_mel_every: int = Field(
        1, ge=1, le=16, description="Steps per use of the loss prior_mel; 2 leaves out every other one to save time."
    )
    losses: LossWeights = Field(default_factory=lambda: LossWeights(), description="Loss weights by name.")
    workers: int = Field(0, ge=0, le=32, description="Data loading processes.")
    compile: bool = Field(False, description="torch.compile the generator (CUDA).")
    validate_every: int = Field(1_000, ge=1, description="Steps between validations.")
    validation_clips: int = Field(8, ge=0, le=200, description="Held-out clips scored at each validation.")
    checkpoint_every: int = Field(500, ge=1, description="Steps between checkpoints of the training state.")
    voice_every: int = Field(2_000, ge=1, description="Steps between exported voices with samples.")
    keep_voices: int = Field(5, ge=1, le=100, description="Exported voices kept.")
    log_every: int = Field(20, ge=1, description="Steps between logged scalars.")
    volume_augment: bool = Field(True, description="Train on random loudness as well.")
    shift_augment: float = Field(
        0.0, ge=0, le=1, description="Share of slices played faster or slower, so that formants and pitch move."
    )
    shift_semitones: float = Field(4.0, ge=0, le=12, description="How far at most, in semitones to each side.")
    prompt_probability: float = Field(
        0.5, ge=0, le=1, description="Share of slices whose singer is told by a prompt instead of the speaker table."
    )
    held_parts: tuple[HeldPart, ...] = Field(
        (), description="Parts of the network that keep the base's weights: what a short training would unlearn."
    )
    replay_share: float = Field(
        0.0, ge=0, le=0.9, description="Share of slices from lines that ship with the base, so that it keeps its words."
    )
    crossed_share: float = Field(
        0.0, ge=0, le=1, description="Share of those lines that the singer is given to sing, told only by likeness."
    )
    seed: int = Field(1234, ge=0, description="Seed of everything random.")


class Config(Settings):
    """All settings of a run."""

    features: FeatureConfig = Field(default_factory=FeatureConfig, description="What is measured.")
    prepare: PrepareConfig = Field(default_factory=PrepareConfig, description="Raw songs to slices.")
    model: ModelConfig = Field(default_factory=ModelConfig, description="Shape of the network.")
    train: TrainConfig = Field(default_factory=TrainConfig, description="Training.")


class ConvertOptions(Settings):
    """Everything a conversion can be told; the CLI, the web page and Python callers fill in this one object."""

    speaker: str | None = Field(None, description="Speaker of the voice file; empty means its first.")
    prompt: Path | None = Field(
        None, description="Recording of 3 to 10 seconds, vocals only, whose singer shall sing, in place of a speaker."
    )
    formant_semitones: float = Field(
        0.0, ge=-6, le=6, description="Shift of the formants alone: above 0 a smaller singer, below 0 a larger one."
    )
    transpose: float | Literal["auto", "nearest"] = Field(
        "auto",
        description="Semitones added to F0, or auto: nearest octave to the singer's range; or nearest: the nearest "
        "semitone, for vocals without accompaniment.",
    )
    pitch_estimator: str | None = Field(None, description="F0 method; empty means the voice's own.")
    f0_file: Path | None = Field(
        None,
        description="CSV of time in s, F0 in Hz, voiced 0/1 to sing instead of what is measured (see `svc pitch`); "
        "for one song at a time.",
    )
    noise_scale: float = Field(0.35, ge=0, le=2, description="Randomness of the latent; 0 is none.")
    seed: int = Field(0, ge=0, description="Seed of that randomness; same seed, same samples.")
    match_level: bool = Field(
        True, description="Hear the song as loud as the voice's recordings were, whatever gain it was recorded with."
    )
    match_loudness: float = Field(
        1.0, ge=0, le=1, description="How far the result's loudness follows the source's: 0 not, 1 wholly."
    )
    speaker_curve: str | None = Field(
        None, description="CSV file that mixes speakers over time: a header time,NAME,NAME, then seconds and weights."
    )
    index: str | None = Field(
        None, description="Index of the singer's sounds, also an .index of RVC or kmeans_*.pt; empty means the voice's."
    )
    retrieval_ratio: float = Field(
        0.0, ge=0, le=1, description="Share of the content taken from the singer's nearest sounds; needs an index."
    )
    cluster_ratio: float = Field(
        0.0, ge=0, le=1, description="Share of the content taken from the nearest cluster of the singer's sounds."
    )
    retrieval_unvoiced: float = Field(
        0.33, ge=0, le=1, description="Factor of both shares in unvoiced frames, where consonants are."
    )
    predict_f0: bool = Field(False, description="Let the voice choose the melody (for speech input).")
    autotune: float = Field(0.0, ge=0, le=1, description="Pull of F0 towards the nearest semitone.")
    protect: float = Field(
        0.33, ge=0, le=1, description="Share of the source's own breaths and unvoiced consonants kept in the result."
    )
    separate: str = choice(
        SEPARATORS, DEFAULT_SEPARATOR, "How vocals are taken out; 'none' if the input is vocals only."
    )
    separate_model: str | None = Field(
        None, description="Model that takes them out: a file, a name of `svc weights list`, or of a file in pretrain/."
    )
    leave_residue: bool = Field(
        True, description="Leave what the separator finds where nobody sings in the song, instead of singing it."
    )
    vocals_db: float = Field(0.0, ge=-60, le=24, description="Gain of the converted vocals in the remix, in dB.")
    accompaniment_db: float = Field(0.0, ge=-60, le=24, description="Gain of the accompaniment in the remix, in dB.")
    vocals_only: bool = Field(False, description="Write the converted vocals without the accompaniment.")
    window_seconds: float = Field(12.0, ge=2, le=120, description="Length of one synthesis window in seconds.")
    context_seconds: float = Field(1.0, ge=0.2, le=10, description="Context on each side of a window in seconds.")
    format: Literal["keep", "wav", "flac", "mp3", "ogg"] = Field("keep", description="File type of results.")
    bit_depth: Literal["keep", "16", "24", "float"] = Field("keep", description="Sample format of wav and flac.")


def load_config(
    path: Path | None = None, overrides: dict[str, Any] | None = None, beneath: dict[str, Any] | None = None
) -> Config:
    """Defaults, then `beneath`, then the recipe file at `path`, then `overrides` (nested dicts), checked as a whole.

    Raises ConfigError in one sentence for an unreadable file, an unknown key (naming the nearest)
    or a value out of range.
    """
    data: dict[str, Any] = dict(beneath or {})
    if path is not None:
        data = merge(data, _read_yaml(path))
    if overrides:
        data = merge(data, overrides)
    where = " or ".join([str(path)] * (path is not None) + ["the command line"] * bool(overrides))
    return build(Config, data, where or "the settings")


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"Cannot read the recipe {path}: {error.strerror or error}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {str(error).splitlines()[0]}.") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path} must hold named settings such as 'train:', not a {type(data).__name__}.")
    return data
