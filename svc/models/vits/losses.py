"""Training losses of the voice model; the names of `svc.config.LossWeights` are theirs.

Adversarial losses are least squares (Mao et al. 2017), feature matching as in HiFi-GAN
(Kong et al. 2020), KL as in VITS (Kim et al. 2021), the mel distance over several resolutions
as in DAC (Kumar et al. 2023).
"""

import torch
from torch import Tensor

from svc.audio.spectrogram import MelSettings, log_mel, mel_centres_hz

LOW_PASS_EDGE_HZ = 400.0
COMMITMENT = 0.25
MEL_FLOOR = 1e-4  # mel magnitudes below this count as silence
BAND_GUARD_HZ = 300.0  # what lies this close under the end of a recording's band has lost some of its level
MEL_RESOLUTIONS = ((512, 128, 40), (1024, 256, 80), (2048, 512, 128))  # window, hop, bands

DiscriminatorOutput = tuple[Tensor, list[Tensor]]


def mel_loss(
    real: Tensor, generated: Tensor, sample_rate: int, bandwidth_hz: Tensor | None = None, above: bool = False
) -> Tensor:
    """Mean L1 distance of natural-log mel spectrograms over three resolutions; audio (B, 1, N), in nepers.

    With `bandwidth_hz` (B,) bands above an item's own bandwidth do not count, or with `above` none but these; None
    counts all of all items.
    """
    total = real.new_zeros(())
    for window, hop, bands in MEL_RESOLUTIONS:
        settings = MelSettings(sample_rate, n_fft=window, hop_length=hop, n_mels=bands, floor=MEL_FLOOR)
        with torch.no_grad():
            wanted = log_mel(real.squeeze(1).float(), settings)
        found = log_mel(generated.squeeze(1).float(), settings)
        if bandwidth_hz is None:
            total = total + torch.nn.functional.l1_loss(found, wanted)
        else:
            inside = bands_inside(settings, bandwidth_hz)
            counts = 1 - inside if above else inside
            total = total + ((found - wanted).abs() * counts).sum() / (counts.sum() * wanted.shape[2]).clamp(min=1.0)
    return total / len(MEL_RESOLUTIONS)


def bands_inside(settings: MelSettings, bandwidth_hz: Tensor) -> Tensor:
    """(B, n_mels, 1), 1 for the mel bands whose centre lies within each item's bandwidth (B,) less a guard, else 0.

    An item whose bandwidth is half the rate has all of them.
    """
    centres = torch.as_tensor(mel_centres_hz(settings), dtype=torch.float32, device=bandwidth_hz.device)
    whole = bandwidth_hz >= settings.sample_rate / 2
    limit = torch.where(whole, torch.inf, bandwidth_hz - BAND_GUARD_HZ)
    return (centres.unsqueeze(0) <= limit.unsqueeze(1)).float().unsqueeze(2)


def low_pass(audio: Tensor, bandwidth_hz: Tensor, sample_rate: int) -> Tensor:
    """Audio (B, 1, N) with what lies above each item's bandwidth (B,) taken out; items of full band as they are.

    One FFT of the whole clip, ends reflected, with a cosine edge 400 Hz wide that ends at the bandwidth.
    """
    whole = bandwidth_hz >= sample_rate / 2
    samples, pad = audio.shape[-1], min(1024, audio.shape[-1] - 1)
    with torch.autocast(audio.device.type, enabled=False):
        padded = torch.nn.functional.pad(audio.float(), (pad, pad), mode="reflect")
        spectrum = torch.fft.rfft(padded)
        frequency = torch.linspace(0, sample_rate / 2, spectrum.shape[-1], device=audio.device)
        place = ((bandwidth_hz.view(-1, 1, 1) - frequency) / LOW_PASS_EDGE_HZ).clamp(0, 1)
        filtered = torch.fft.irfft(spectrum * (0.5 - 0.5 * torch.cos(torch.pi * place)), n=padded.shape[-1])
        return torch.where(whole.view(-1, 1, 1), audio.float(), filtered[..., pad : pad + samples])


def frame_mel_loss(predicted: Tensor, wanted: Tensor, mask: Tensor, counts: Tensor | None = None) -> Tensor:
    """Mean L1 distance of log-mel frames (B, bands, T) over the frames of `mask` (B, 1, T).

    `counts` (B, bands, 1) of `bands_inside` says which bands count; None counts all.
    """
    weight = mask.float() * (torch.ones_like(predicted[:, :, :1]) if counts is None else counts)
    return ((predicted.float() - wanted).abs() * weight).sum() / weight.sum().clamp(min=1.0)


def prompt_loss(by_prompt: Tensor, by_table: Tensor) -> Tensor:
    """Squared distance of who sings by prompt and by speaker table, both (B, G), mean over items and values.

    The table's row moves to the encoder's vectors, as a codebook does, the encoder a quarter as much to the row: what
    the encoder hears is shaped by sound, and the row is where it hears that singer on the mean.
    """
    to_encoder = (by_table - by_prompt.detach()).square().mean()
    return to_encoder + COMMITMENT * (by_prompt - by_table.detach()).square().mean()


def kl_loss(z_p: Tensor, posterior_log_std: Tensor, prior_mean: Tensor, prior_log_std: Tensor, mask: Tensor) -> Tensor:
    """KL between posterior and prior per frame (VITS eq. 4); tensors (B, C, T), mask (B, 1, T)."""
    z_p, posterior_log_std = z_p.float(), posterior_log_std.float()
    prior_mean, prior_log_std, mask = prior_mean.float(), prior_log_std.float(), mask.float()
    kl = prior_log_std - posterior_log_std - 0.5
    kl = kl + 0.5 * (z_p - prior_mean).square() * torch.exp(-2.0 * prior_log_std)
    return (kl * mask).sum() / mask.sum().clamp(min=1.0)


def discriminator_loss(real: list[DiscriminatorOutput], fake: list[DiscriminatorOutput]) -> Tensor:
    """Sum over discriminators of (1 - D(real))^2 + D(fake)^2."""
    losses = [(1.0 - r.float()).square().mean() + f.float().square().mean() for (r, _), (f, _) in zip(real, fake)]
    return torch.stack(losses).sum()


def generator_adversarial_loss(fake: list[DiscriminatorOutput]) -> Tensor:
    """Sum over discriminators of (1 - D(fake))^2."""
    return torch.stack([(1.0 - score.float()).square().mean() for score, _ in fake]).sum()


def feature_matching_loss(real: list[DiscriminatorOutput], fake: list[DiscriminatorOutput]) -> Tensor:
    """Sum over discriminators and layers of the mean L1 distance of feature maps; the real side gets no gradient."""
    pairs = [(r.detach(), f) for (_, rs), (_, fs) in zip(real, fake) for r, f in zip(rs, fs)]
    return torch.stack([(r.float() - f.float()).abs().mean() for r, f in pairs]).sum()


def f0_loss(predicted_lf0: Tensor, target_lf0: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error of mel-scaled log F0 over the frames of `mask`; all (B, 1, T)."""
    error = (predicted_lf0.float() - target_lf0.float()).square() * mask.float()
    return error.sum() / mask.float().sum().clamp(min=1.0)
