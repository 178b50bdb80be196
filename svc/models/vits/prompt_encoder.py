"""Who sings, heard from some seconds of audio: the vector that otherwise stands in the speaker table.

A log-mel spectrogram up to 8 kHz, freed of its level, goes through strided ConvNeXt blocks (Liu et al. 2022) and
attentive statistics pooling (Okabe et al. 2018, arXiv:1803.10963). Above 8 kHz it hears nothing, so that it tells
singers apart and not the rates of their recordings.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from svc.audio.spectrogram import MelSettings, log_mel
from svc.models.vocoders.nsf_istft import ConvNeXtBlock

WIDTH = 192
BANDS = 80
TOP_HZ = 8_000.0
BLOCKS_PER_STAGE = 2
# In nepers about the mean level of the sounding frames.
FLOOR = -7.0
CENTRE, SPREAD = -2.5, 2.0
PAUSE = -4.0
"""Frames this far below the loudest are pauses (35 dB): neither level nor pooling sees them."""
EQUALISER = 0.3
DULL_SHARE = 0.15


class PromptEncoder(nn.Module):
    """Audio (B, N) to vectors (B, channels); about 1.2 M parameters.

    In training mode the spectrogram is bent by a random equaliser of some dB first, and some items end at 3 to 8 kHz,
    drawn by torch's own generator: the microphone shall not be what tells singers apart.
    """

    def __init__(self, channels: int, sample_rate: int) -> None:
        super().__init__()
        top = min(TOP_HZ, sample_rate / 2)
        self.mel = MelSettings(sample_rate, n_fft=2048, hop_length=512, n_mels=BANDS, fmax=top, eps=1e-12, floor=1e-8)
        self.embed = nn.Conv1d(BANDS, WIDTH, 7, stride=4, padding=3)
        self.norm_in = nn.LayerNorm(WIDTH, eps=1e-6)
        scale = 1.0 / (2 * BLOCKS_PER_STAGE)
        self.first = nn.ModuleList(ConvNeXtBlock(WIDTH, scale) for _ in range(BLOCKS_PER_STAGE))
        self.reduce = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.second = nn.ModuleList(ConvNeXtBlock(WIDTH, scale) for _ in range(BLOCKS_PER_STAGE))
        self.norm_out = nn.LayerNorm(WIDTH, eps=1e-6)
        self.attend = nn.Sequential(nn.Conv1d(WIDTH, 64, 1), nn.Tanh(), nn.Conv1d(64, WIDTH, 1))
        self.out = nn.Linear(2 * WIDTH, channels)

    def forward(self, audio: Tensor, lengths: Tensor) -> Tensor:
        """audio (B, N) at the voice's rate, lengths (B,) in samples, at least one; vectors (B, channels) float32.

        Meant for one to ten seconds of one singer, at any level, with or without pauses.
        """
        with torch.no_grad():
            x, inside, sounding = self._picture(audio, lengths)
        x = self.embed(x * inside)
        x = self.norm_in(x.transpose(1, 2)).transpose(1, 2)
        inside = _coarser(inside, 4)
        for block in self.first:
            x = block(x * inside)
        x = self.reduce(x * inside)
        inside = _coarser(inside, 2)
        for block in self.second:
            x = block(x * inside)
        x = self.norm_out(x.transpose(1, 2)).transpose(1, 2)
        return self._pool(x, _coarser(_coarser(sounding, 4), 2))

    def _picture(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Level-free log-mel (B, BANDS, T), and (B, 1, T) 1 on frames of the item and on those that sound."""
        mel = log_mel(audio, self.mel)
        frames = torch.arange(mel.shape[2], device=mel.device)
        inside = (frames.unsqueeze(0) * self.mel.hop_length < lengths.unsqueeze(1)).unsqueeze(1).float()
        level = torch.logsumexp(mel, dim=1, keepdim=True) + torch.log(inside)
        sounding = (level > level.amax(2, keepdim=True) + PAUSE).float()
        mean = torch.logsumexp(level + torch.log(sounding), dim=2, keepdim=True) - sounding.sum(2, keepdim=True).log()
        if self.training:
            mel = _other_microphone(mel)
        mel = (mel - mean + float(torch.tensor(float(BANDS)).log())).clamp(min=FLOOR)
        return (mel - CENTRE) / SPREAD, inside, sounding

    def _pool(self, x: Tensor, mask: Tensor) -> Tensor:
        """Attention-weighted mean and deviation of the sounding frames, projected."""
        scores = self.attend(x).float().masked_fill(mask == 0, -1e4)
        weights = torch.softmax(scores, dim=2)
        x = x.float()
        mean = (weights * x).sum(2)
        deviation = ((weights * x.square()).sum(2) - mean.square()).clamp(min=1e-6).sqrt()
        return self.out(torch.cat([mean, deviation], dim=1)).float()


def _coarser(mask: Tensor, factor: int) -> Tensor:
    """A mask (B, 1, T) at a `factor` of its rate, (B, 1, ceil(T / factor)): 1 where any of its frames is."""
    return functional.max_pool1d(mask, factor, ceil_mode=True)


def _other_microphone(mel: Tensor) -> Tensor:
    """`mel` (B, BANDS, T) with a smooth random curve added to each item, and the top of some cut off."""
    batch, bands, device = len(mel), mel.shape[1], mel.device
    order = torch.arange(1, 6, device=device)
    band = torch.arange(bands, device=device)
    waves = torch.cos(torch.pi * order.unsqueeze(1) * (band + 0.5) / bands)
    curve = (torch.randn(batch, 5, device=device) * EQUALISER / order.sqrt()) @ waves
    dull = torch.rand(batch, 1, device=device) < DULL_SHARE
    top = bands * (0.7 + 0.3 * torch.rand(batch, 1, device=device))  # 3.2 to 8 kHz
    curve = curve.masked_fill(dull & (band >= top), -50.0)
    return mel + curve.unsqueeze(2)
