"""One training step: the discriminators' update, then the generator's.

Losses carry the names of `svc.config.LossWeights`. Nothing here waits for the device: losses stay tensors
until the loop asks for them, and whether one was not a number is collected in a flag on the device.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from svc.audio.spectrogram import MelSettings, linear_spectrogram, linear_to_log_mel
from svc.data.dataset import Batch
from svc.models.vits import losses
from svc.models.vits.voice_model import TrainOutput
from svc.training.crossing import CROSSED, LINE, OWN, cross
from svc.training.highs import highs_of_the_start
from svc.training.inputs import audio_segments, model_input
from svc.training.state import TrainState


@dataclass
class Generated:
    """What the generator made of a batch, and the recorded audio (B, 1, S) of the same segments.

    `bandwidth_hz` (B,) is None where every recording has its full band; `spectrogram` (B, F, T) is the recordings'.
    `role` (B,) is None where every item is a recording of who sings it.
    """

    output: TrainOutput
    real: Tensor
    spectrogram: Tensor
    heard: slice  # the samples of the segment that the discriminators hear
    sample_rate: int
    bandwidth_hz: Tensor | None = None
    role: Tensor | None = None

    def compared(self, values: Tensor) -> Tensor:
        """Of `values` (B, ...) those whose item has a recording to be compared with."""
        return values if self.role is None else values[self.role != CROSSED]

    @cached_property
    def judged(self) -> tuple[Tensor, Tensor]:
        """Recorded and generated audio (B, 1, S) of that part, both within the recordings' bandwidths."""
        pair = self.real, self.output.audio
        if self.bandwidth_hz is not None:
            # Else the discriminators would tell real from made by the nothing above a narrow recording's band.
            band, rate = self.bandwidth_hz, self.sample_rate
            pair = losses.low_pass(pair[0], band, rate), losses.low_pass(pair[1], band, rate)
        return pair[0][:, :, self.heard], pair[1][:, :, self.heard]

    @property
    def told_apart(self) -> tuple[Tensor, Tensor]:
        """Of what is judged: recordings of the singer, and all that was made in the singer's voice."""
        recorded, generated = self.judged
        if self.role is None or not (self.role == OWN).any():
            return recorded, generated
        return recorded[self.role == OWN], generated[self.role != LINE]


def train_step(state: TrainState, batch: Batch) -> dict[str, Tensor]:
    """One update of discriminators and generator from `batch`; the detached losses by name (scalars on the device).

    The batch is worked through in `state.splits` parts whose gradients add up to those of the whole. All
    randomness of the step is a function of (seed, step, process), so a resumed run repeats it exactly.
    """
    _seed(state)
    state.set_learning_rates()
    # Asked while the batch is on the CPU, where it costs no wait.
    limited = bool((batch.bandwidth_hz < state.spec.sample_rate / 2).any())
    if state.crossing:
        batch = cross(batch, state.own_singers, state.config.crossed_share if state.adversarial else 0.0)
    parts = batch.to(state.device).split(state.splits)
    # With one part both updates share one pass of the generator; with more, keeping every graph would undo the saving.
    shared = generate(state, parts[0], limited) if len(parts) == 1 else None
    found: dict[str, Tensor] = {}
    if state.adversarial:
        found |= discriminator_step(state, parts, shared, limited)
    found |= generator_step(state, parts, shared, limited)
    state.note_finite(found)
    state.ema.update()
    state.step += 1
    return found


def _seed(state: TrainState) -> None:
    processes = state.accelerator.num_processes
    number = (state.config.seed * 1_000_003 + state.step) * processes + state.accelerator.process_index
    torch.manual_seed(number % (2**63))


def generate(state: TrainState, batch: Batch, limited: bool = False) -> Generated:
    """The generator's training pass over a batch, spectrograms computed here on the device.

    `limited` says that some recording has less than its full band.
    """
    spec, segment = state.spec, state.config.segment_frames
    with torch.no_grad():
        spectrogram = linear_spectrogram(batch.audio, spec.n_fft, spec.hop_length)
    output = state.generator(model_input(batch, spectrogram), segment, prior_audio=state.prior_mel)
    real = audio_segments(batch.audio, output.starts, segment, spec.hop_length)
    heard = _heard(segment, min(segment, state.config.adversarial_frames), spec.hop_length)
    bandwidth_hz = batch.bandwidth_hz if limited else None
    role = batch.role if state.crossing else None
    return Generated(output, real, spectrogram, heard, spec.sample_rate, bandwidth_hz, role)


def _heard(segment: int, frames: int, hop: int) -> slice:
    """A random run of `frames` of a segment's frames, in samples."""
    start = int(torch.randint(segment - frames + 1, (1,)))
    return slice(start * hop, (start + frames) * hop)


def discriminator_step(
    state: TrainState, parts: list[Batch], shared: Generated | None, limited: bool = False
) -> dict[str, Tensor]:
    """Update the discriminators to tell recorded from generated segments."""
    state.discriminator.requires_grad_(True)
    state.discriminator_optimiser.zero_grad(set_to_none=True)
    total = torch.zeros((), device=state.device)
    for part, last in _with_last(parts):
        with torch.no_grad() if shared is None else nullcontext():
            made = shared or generate(state, part, limited)
        with _synchronised(state, state.discriminator, last):
            # One pass over both halves: DDP counts one forward per backward, and devices like larger batches.
            recorded, generated = made.told_apart
            both = state.discriminator(torch.cat([recorded, generated.detach()]))
            real, fake = divided(both, len(recorded), len(generated))
            loss = losses.discriminator_loss(real, fake) * _share(part, parts)
            state.accelerator.backward(loss)
        total = total + loss.detach()
    norm = _clip(state, state.discriminator_optimiser, state.discriminator, float("inf"))
    state.discriminator_optimiser.step()
    return {"discriminator": total, "discriminator_gradient": norm}


def divided(outputs: list[losses.DiscriminatorOutput], first: int, second: int) -> tuple[list, list]:
    """Discriminator outputs of `first` + `second` items as those of the first ones and of the others."""
    one, other = [], []
    for score, features in outputs:
        # Some discriminators hear one item as several.
        ends = [len(values) * first // (first + second) for values in (score, *features)]
        one.append((score[: ends[0]], [f[:end] for f, end in zip(features, ends[1:])]))
        other.append((score[ends[0] :], [f[end:] for f, end in zip(features, ends[1:])]))
    return one, other


def generator_step(
    state: TrainState, parts: list[Batch], shared: Generated | None, limited: bool = False
) -> dict[str, Tensor]:
    """Update the voice model by the weighted sum of its losses."""
    state.discriminator.requires_grad_(False)
    state.generator_optimiser.zero_grad(set_to_none=True)
    found: dict[str, Tensor] = {}
    for part, last in _with_last(parts):
        with _synchronised(state, state.generator, last):
            values = generator_losses(state, part, shared or generate(state, part, limited))
            weights = state.config.losses
            total = sum(getattr(weights, name) * value for name, value in values.items()) * _share(part, parts)
            state.accelerator.backward(total)
        for name, value in values.items():
            found[name] = found.get(name, 0.0) + value.detach() * _share(part, parts)
    found["generator_gradient"] = _clip(state, state.generator_optimiser, state.generator, state.config.gradient_clip)
    state.generator_optimiser.step()
    return found


def generator_losses(state: TrainState, batch: Batch, made: Generated) -> dict[str, Tensor]:
    """The generator's losses by name of what was `made` of a batch, those whose weight is 0 left out."""
    output, weights, rate = made.output, state.config.losses, made.sample_rate
    real, band = made.compared(made.real), None if made.bandwidth_hz is None else made.compared(made.bandwidth_hz)
    found: dict[str, Tensor] = {}
    if weights.mel:
        found["mel"] = losses.mel_loss(real, made.compared(output.audio), rate, band)
    if weights.kl and output.z_p is not None and output.posterior_log_std is not None:
        found["kl"] = losses.kl_loss(
            output.z_p, output.posterior_log_std, output.prior_mean, output.prior_log_std, output.mask
        )
    if weights.f0 and output.predicted_lf0 is not None and output.target_lf0 is not None:
        predicted, target = output.predicted_lf0.unsqueeze(1), output.target_lf0.unsqueeze(1)
        found["f0"] = losses.f0_loss(made.compared(predicted), made.compared(target), made.compared(output.mask))
    if weights.prior_mel and output.prior_audio is not None:
        found["prior_mel"] = losses.mel_loss(real, made.compared(output.prior_audio), rate, band)
    if state.holds_highs and band is not None and (held := highs_of_the_start(state, batch, output.starts)):
        found["highs"] = losses.mel_loss(held.audio, output.audio[held.rows], rate, held.bandwidth_hz, above=True)
    if weights.frame_mel and output.frame_mel is not None:
        found["frame_mel"] = _frame_mel(state, made, output.frame_mel)
    if weights.prompt and output.prompt_vector is not None and output.table_vector is not None:
        found["prompt"] = losses.prompt_loss(output.prompt_vector, output.table_vector)
    if state.adversarial:
        found |= _adversarial_losses(state, made)
    return found


def _adversarial_losses(state: TrainState, made: Generated) -> dict[str, Tensor]:
    """What the discriminators say of what was made, and how far their feature maps lie from those of the recordings."""
    # The bare module: DDP must not expect gradients of discriminators that are frozen here.
    discriminator = state.accelerator.unwrap_model(state.discriminator, keep_fp32_wrapper=True)
    weights, (recorded, generated) = state.config.losses, made.judged
    found: dict[str, Tensor] = {}
    if made.role is None:
        fake = compared = discriminator(generated)
    else:
        # In this order each loss has its items in one piece: lines, the singer's recordings, what was given to her.
        order = torch.argsort(torch.tensor([1, 0, 2], device=made.role.device)[made.role], stable=True)
        lines, given = int((made.role == LINE).sum()), int((made.role == CROSSED).sum())
        whole = discriminator(generated[order])
        fake = divided(whole, lines, len(order) - lines)[1] if lines < len(order) else whole
        compared = divided(whole, len(order) - given, given)[0]
        recorded = recorded[order[: len(order) - given]]
    if weights.adversarial:
        found["adversarial"] = losses.generator_adversarial_loss(fake)
    if weights.feature_matching:
        with torch.no_grad():
            real = discriminator(recorded)
        found["feature_matching"] = losses.feature_matching_loss(real, compared)
    return found


def _frame_mel(state: TrainState, made: Generated, predicted: Tensor) -> Tensor:
    """The loss of that name: the frame head's reading against the recordings' log-mel frames."""
    spec = state.spec
    settings = MelSettings(
        spec.sample_rate, spec.n_fft, spec.hop_length, n_mels=predicted.shape[1], floor=losses.MEL_FLOOR
    )
    with torch.no_grad():
        wanted = linear_to_log_mel(made.spectrogram, settings)
        counts = None if made.bandwidth_hz is None else losses.bands_inside(settings, made.bandwidth_hz)
    return losses.frame_mel_loss(predicted, wanted, made.output.mask, counts)


def _share(part: Batch, parts: list[Batch]) -> float:
    return len(part.lengths) / sum(len(p.lengths) for p in parts)


def _with_last(parts: list[Batch]) -> Iterator[tuple[Batch, bool]]:
    return ((part, i == len(parts) - 1) for i, part in enumerate(parts))


@contextmanager
def _synchronised(state: TrainState, module: nn.Module, last: bool) -> Iterator[None]:
    """Gradients travel between processes only with the last part."""
    with nullcontext() if last else state.accelerator.no_sync(module):
        yield


def _clip(state: TrainState, optimiser: torch.optim.Optimizer, module: nn.Module, limit: float) -> Tensor:
    """Limit the gradient norm; its value before that."""
    state.accelerator.unscale_gradients(optimiser)
    return torch.nn.utils.clip_grad_norm_(module.parameters(), limit)
