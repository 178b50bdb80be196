"""Training losses of the voice model; the names of `svc.config.LossWeights` are theirs.

Adversarial losses are least squares (Mao et al. 2017), feature matching as in HiFi-GAN
(Kong et al. 2020), KL as in VITS (Kim et al. 2021), the mel distance over several resolutions
as in DAC (Kumar et al. 2023).
"""

import torch
from torch import Tensor

from svc.audio.spectrogram import MelSettings, log_mel

MEL_RESOLUTIONS = ((512, 128, 40), (1024, 256, 80), (2048, 512, 128))  # window, hop, bands

DiscriminatorOutput = tuple[Tensor, list[Tensor]]


def mel_loss(real: Tensor, generated: Tensor, sample_rate: int) -> Tensor:
    """Mean L1 distance of natural-log mel spectrograms over three resolutions; audio (B, 1, N), in nepers."""
    total = real.new_zeros(())
    for window, hop, bands in MEL_RESOLUTIONS:
        settings = MelSettings(sample_rate=sample_rate, n_fft=window, hop_length=hop, n_mels=bands)
        with torch.no_grad():
            wanted = log_mel(real.squeeze(1).float(), settings)
        total = total + torch.nn.functional.l1_loss(log_mel(generated.squeeze(1).float(), settings), wanted)
    return total / len(MEL_RESOLUTIONS)


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
