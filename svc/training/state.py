"""Everything a training step touches, in one object that can be written down and taken up again."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from svc.config import Config, TrainConfig
from svc.errors import CheckpointError, SvcError
from svc.features.spec import FeatureSpec
from svc.models.vits.losses import DiscriminatorOutput
from svc.models.vits.voice_model import VoiceModel, VoiceShape
from svc.registry import DISCRIMINATORS
from svc.training.ema import Ema

NEVER = 2**62  # "no bad step yet"


class DiscriminatorSet(nn.Module):
    """Several discriminators as one; keys of its state dict begin with the registry name."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.members = nn.ModuleDict({name: DISCRIMINATORS.create(name) for name in names})

    def forward(self, audio: Tensor) -> list[DiscriminatorOutput]:
        """Audio (B, 1, N) to the outputs of all members, one after the other."""
        return [output for member in self.members.values() for output in member(audio)]


@dataclass
class Best:
    """The best validation so far."""

    mel_distance: float = float("inf")
    step: int = -1


@dataclass
class TrainState:
    """Models, optimisers, averages and counters of a run.

    `step` counts finished updates; of the speakers the first `own_singers` are the dataset's; `splits` is the number
    of parts a batch is worked through in, raised when memory runs out; `share_done` (0 to 1) is how much of the steps
    or minutes that were asked for is over; `sums` and `summed` gather losses since they were last logged. `start` is
    the model as it was before the first step, for the loss `highs`.
    """

    config: TrainConfig
    spec: FeatureSpec
    accelerator: Accelerator
    generator: nn.Module
    discriminator: nn.Module
    generator_optimiser: torch.optim.Optimizer
    discriminator_optimiser: torch.optim.Optimizer
    ema: Ema
    step: int = 0
    splits: int = 1
    share_done: float = 0.0
    own_singers: int = 0
    start: VoiceModel | None = None
    best: Best = field(default_factory=Best)
    sums: dict[str, Tensor] = field(default_factory=dict)
    summed: dict[str, int] = field(default_factory=dict)
    first_bad_step: Tensor = field(default_factory=lambda: torch.tensor(NEVER))
    bad_losses: dict[str, Tensor] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Where the models are."""
        return self.accelerator.device

    @property
    def adversarial(self) -> bool:
        """Whether discriminators take part in the present step."""
        weights = self.config.losses
        wanted = weights.adversarial > 0 or weights.feature_matching > 0
        since = self.step - self.config.adversarial_start_step
        return wanted and since >= 0 and since % self.config.adversarial_every == 0

    @property
    def crossing(self) -> bool:
        """Whether lines of the base are given to the singer."""
        return self.config.replay_share > 0 and self.config.crossed_share > 0

    @property
    def holds_highs(self) -> bool:
        """Whether the present step compares with the start; not in the steps that discriminate, where others do not."""
        often = self.adversarial and self.config.adversarial_every > 1
        return self.start is not None and self.config.losses.highs > 0 and not often

    @property
    def prior_mel(self) -> bool:
        """Whether the present step decodes from the prior's mean as well; not in the steps that discriminate first."""
        every = self.config.prior_mel_every
        return self.config.losses.prior_mel > 0 and self.step % every == every - 1

    @property
    def model(self) -> VoiceModel:
        """The bare voice model."""
        return self.accelerator.unwrap_model(self.generator)

    def learning_rate_factor(self) -> float:
        """Linear rise over `warmup_steps`, times `lr_decay` per 100 steps, times the way down to `lr_end`."""
        warmup = min(1.0, (self.step + 1) / max(1, self.config.warmup_steps))
        end = self.config.lr_end
        sinking = end + (1.0 - end) * 0.5 * (1.0 + math.cos(math.pi * self.share_done))
        return warmup * sinking * self.config.lr_decay ** (self.step // 100)

    def set_learning_rates(self) -> None:
        """Put the present step's learning rates into the optimisers."""
        factor = self.learning_rate_factor()
        for optimiser, rate in (
            (self.generator_optimiser, self.config.learning_rate),
            (self.discriminator_optimiser, self.config.discriminator_learning_rate),
        ):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor

    def gather(self, found: dict[str, Tensor]) -> None:
        """Add a step's losses to the sums that the next log line averages; each over the steps that have it."""
        for name, value in found.items():
            self.sums[name] = self.sums[name] + value.float() if name in self.sums else value.float()
            self.summed[name] = self.summed.get(name, 0) + 1

    def take_means(self) -> dict[str, float]:
        """Mean losses since the last call. Waits for the device."""
        means = {name: float(value) / self.summed[name] for name, value in self.sums.items()}
        self.sums, self.summed = {}, {}
        return means

    def note_finite(self, found: dict[str, Tensor]) -> None:
        """Remember on the device the first step with a value that is not a number, and which value."""
        overflow_is_normal = self.accelerator.mixed_precision == "fp16"
        for name, value in found.items():
            if overflow_is_normal and name.endswith("gradient"):
                continue
            bad = ~torch.isfinite(value)
            self.bad_losses[name] = self.bad_losses[name] | bad if name in self.bad_losses else bad
            first = self.first_bad_step.to(bad.device)
            self.first_bad_step = torch.where(bad & (first > self.step), self.step, first)

    def require_finite(self, last_saved: int | None) -> None:
        """Raise SvcError when some loss was not a number. Waits for the device."""
        step = int(self.first_bad_step)
        if step == NEVER:
            return
        names = ", ".join(name for name, bad in self.bad_losses.items() if bool(bad))
        kept = f"The state of step {last_saved} is kept" if last_saved is not None else "No state was saved before that"
        raise SvcError(
            f"Training stopped: at step {step} these were no longer finite numbers: {names}. {kept}: continue with "
            "--resume and a lower train.learning_rate, or with train.precision fp32."
        )

    def to_dict(self) -> dict[str, Any]:
        """Tensors and plain values from which `restore` continues exactly."""
        scaler = self.accelerator.scaler
        return {
            "step": self.step,
            "splits": self.splits,
            "best": {"mel_distance": self.best.mel_distance, "step": self.best.step},
            "sums": {name: value.cpu() for name, value in self.sums.items()},
            "summed": self.summed,
            "generator": self.model.state_dict(),
            "discriminator": self.accelerator.unwrap_model(self.discriminator).state_dict(),
            "generator_optimiser": self.generator_optimiser.state_dict(),
            "discriminator_optimiser": self.discriminator_optimiser.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else {},
            "ema": self.ema.state_dict(),
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Continue from `to_dict`'s data; CheckpointError when it belongs to other model settings."""
        try:
            self.model.load_state_dict(data["generator"])
            self.accelerator.unwrap_model(self.discriminator).load_state_dict(data["discriminator"])
            self.generator_optimiser.load_state_dict(data["generator_optimiser"])
            self.discriminator_optimiser.load_state_dict(data["discriminator_optimiser"])
            self.ema.load_state_dict(data["ema"])
        except (RuntimeError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[0]
            raise CheckpointError(
                f"The saved training state does not fit the present settings ({reason}): "
                "use the model and discriminator settings of the run's config.yaml."
            ) from error
        if self.accelerator.scaler is not None and data["scaler"]:
            self.accelerator.scaler.load_state_dict(data["scaler"])
        self.step, self.splits = int(data["step"]), max(self.splits, int(data["splits"]))
        self.best = Best(**data["best"])
        self.sums = {name: value.to(self.device) for name, value in data["sums"].items()}
        self.summed = dict(data["summed"])


def wants_prompts(config: Config) -> bool:
    """Whether training teaches a prompt encoder; else one that the model has is left as it is."""
    return config.model.prompt_encoder and (config.train.prompt_probability > 0 or config.train.losses.prompt > 0)


def build_models(config: Config, spec: FeatureSpec, speakers: int) -> tuple[VoiceModel, DiscriminatorSet]:
    """New models with weights drawn from the seed."""
    shape = VoiceShape(spec.content_dim, spec.sample_rate, spec.hop_length, spec.n_fft, speakers, spec.stacked_layers)
    names = (config.train.discriminator, *config.train.extra_discriminators)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.train.seed)
        model = VoiceModel(config.model, shape, frame_head=config.train.losses.frame_mel > 0)
        return model, DiscriminatorSet(tuple(dict.fromkeys(names)))


def build_state(
    config: Config, spec: FeatureSpec, accelerator: Accelerator, model: VoiceModel, discriminator: DiscriminatorSet
) -> TrainState:
    """The state of step 0 around given models, placed on the accelerator's device."""
    train = config.train
    fused = accelerator.device.type in ("cuda", "cpu")
    model.to(accelerator.device)
    if model.prompt_encoder is not None and not wants_prompts(config):
        # Processes that train together would wait for gradients that never come.
        model.prompt_encoder.requires_grad_(False)
    for name in train.held_parts:
        part = getattr(model, name)
        if part is not None:
            part.requires_grad_(False)
    ema = Ema(model, train.ema_decay)
    if train.compile and accelerator.device.type == "cuda":
        model.compile()

    def optimiser(module: nn.Module, rate: float) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            module.parameters(), rate, betas=train.adam_betas, weight_decay=train.weight_decay, eps=1e-9, fused=fused
        )

    generator, judge, generator_optimiser, discriminator_optimiser = accelerator.prepare(
        model,
        discriminator,
        optimiser(model, train.learning_rate),
        optimiser(discriminator, train.discriminator_learning_rate),
    )
    return TrainState(
        config=train,
        spec=spec,
        accelerator=accelerator,
        generator=generator,
        discriminator=judge,
        generator_optimiser=generator_optimiser,
        discriminator_optimiser=discriminator_optimiser,
        ema=ema,
        splits=train.accumulate,
    )
