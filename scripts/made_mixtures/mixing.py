"""Many mixtures at once on one device: random voices over random backing, as waveforms.

A batch is made with a few large operations, so that a graphics card makes mixtures faster than it learns from them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

RATE = 44_100
LEAD_LINES = 5
TAPS = 8  # of the interpolation, each side of 4
FADE = 441
TONE_POINTS = 8  # of a random curve over log frequency
TONE_DB = 4.0
ROOM_SECONDS = 1.0
LEVEL = 0.1


@dataclass(frozen=True)
class Pool:
    """Recordings end to end: 16-bit `samples` (C, N), where each starts, how long it is, its group and its bandwidth.

    A group is drawn in proportion to `shares`, then one of its recordings in proportion to its length.
    """

    samples: Tensor
    starts: np.ndarray
    lengths: np.ndarray
    bandwidths_hz: np.ndarray
    members: tuple[np.ndarray, ...]
    shares: np.ndarray

    @staticmethod
    def of(parts: list[tuple[np.ndarray, int, float]], shares: dict[int, float]) -> Pool:
        """From (samples (C, n), group, bandwidth in Hz) of each recording and the share of each group."""
        lengths = np.array([samples.shape[1] for samples, _, _ in parts])
        groups = np.array([group for _, group, _ in parts])
        kept = sorted(group for group in shares if (groups == group).any())
        share = np.array([shares[group] for group in kept])
        return Pool(
            torch.from_numpy(np.concatenate([samples for samples, _, _ in parts], axis=1)),
            np.concatenate([[0], np.cumsum(lengths)[:-1]]),
            lengths,
            np.array([bandwidth for _, _, bandwidth in parts]),
            tuple(np.flatnonzero(groups == group) for group in kept),
            share / share.sum(),
        )

    def to(self, device: str) -> Pool:
        """The same recordings on `device`."""
        return replace(self, samples=self.samples.to(device))

    def draw(self, rng: np.random.Generator, group: int | None = None) -> tuple[int, int]:
        """(a recording, its group's place among the groups)."""
        group = int(rng.choice(len(self.shares), p=self.shares)) if group is None else group
        members = self.members[group]
        weights = self.lengths[members].astype(np.float64)
        return int(rng.choice(members, p=weights / weights.sum())), group


class Slots(NamedTuple):
    """What is played where, each (B, slots): recording, first sample in it, samples per sample, place, gain, pan."""

    which: np.ndarray
    offset: np.ndarray
    ratio: np.ndarray
    at: np.ndarray
    gain: np.ndarray
    pan: np.ndarray


class Mixture(NamedTuple):
    """Voice and backing (B, 2, n), and up to where in Hz each voice's recordings reach (B,)."""

    voice: Tensor
    rest: Tensor
    bandwidth_hz: Tensor


def mixtures(voices: Pool, bands: Pool, size: int, length: int, seed: list[int]) -> Mixture:
    """`size` mixtures of `length` samples; equal for equal seeds on one kind of device."""
    rng = np.random.default_rng(seed)
    device = voices.samples.device
    generator = torch.Generator(device).manual_seed(int(rng.integers(1 << 62)))
    sung = _lines(voices, rng, size, length)
    voice = _pressed(_placed(sung, _played(voices, sung, length, wrap=False)[:, :, 0]), rng)
    backing = _backing_slots(bands, rng, size)
    rest = _arranged(_played(bands, backing, length, wrap=True), backing, rng)
    voice, rest = _coloured(voice, rest, rng, generator)
    voice, rest = _levelled(voice, rest, rng, generator)
    reach = np.where(sung.gain > 0, voices.bandwidths_hz[sung.which] * sung.ratio, RATE / 2).min(axis=1)
    return Mixture(voice, rest, torch.from_numpy(reach).float().to(device))


def _lines(voices: Pool, rng: np.random.Generator, size: int, length: int) -> Slots:
    """Lines of one voice one after the other, sometimes with a second voice or a double above."""
    slots = Slots(*(np.zeros((size, LEAD_LINES + 1), kind) for kind in (int, int, float, float, float, float)))
    slots.ratio[:] = 1.0
    for clip in range(size):
        first, group = voices.draw(rng)
        at = float(rng.integers(-RATE, RATE // 2))
        ratio = float(2 ** rng.uniform(-0.32, 0.32))
        for slot in range(LEAD_LINES):
            which = voices.draw(rng, group)[0] if slot else first
            lasts = voices.lengths[which] / ratio
            offset = int(rng.integers(max(1, voices.lengths[which] - RATE))) if slot == 0 and rng.random() < 0.5 else 0
            _put(slots, clip, slot, (which, offset, ratio, at, 1.0, 0.0))
            at += lasts - offset / ratio + rng.exponential(0.5) * RATE
            if at > length:
                break
        kind = rng.random()
        if kind < 0.12:  # another singer
            other = voices.draw(rng)[0]
            place, gain, pan = rng.uniform(-1, length / 2), rng.uniform(0.3, 1.0), rng.uniform(-0.6, 0.6)
            _put(slots, clip, LEAD_LINES, (other, 0, 2 ** rng.uniform(-0.32, 0.32), place, gain, pan))
        elif kind < 0.24:  # a double, or a third or fifth away
            move = rng.choice([1.0, 1.003, 0.997, 1.26, 1.19, 1.5, 0.75, 0.5])
            start = slots.at[clip, 0] + rng.uniform(0.012, 0.04) * RATE
            gain, pan = rng.uniform(0.3, 0.9), rng.uniform(-0.8, 0.8)
            _put(slots, clip, LEAD_LINES, (first, slots.offset[clip, 0], ratio * move, start, gain, pan))
    return slots


def _backing_slots(bands: Pool, rng: np.random.Generator, size: int) -> Slots:
    """One piece for each mixture, and in a third of them another."""
    slots = Slots(*(np.zeros((size, 2), kind) for kind in (int, int, float, float, float, float)))
    for clip in range(size):
        for slot in range(2):
            which = bands.draw(rng)[0]
            gain = 1.0 if slot == 0 else rng.uniform(0.3, 1.0) * (rng.random() < 0.3)
            values = (which, rng.integers(bands.lengths[which]), 2 ** rng.uniform(-0.32, 0.32), 0.0, gain, 0.0)
            _put(slots, clip, slot, values)
    return slots


def _put(slots: Slots, clip: int, slot: int, values: tuple) -> None:
    for array, value in zip(slots, values):
        array[clip, slot] = value


def _played(pool: Pool, slots: Slots, length: int, wrap: bool) -> Tensor:
    """(B, slots, C, length): each slot's recording from its place on, at LEVEL while it sounds."""
    device = pool.samples.device

    def row(values: np.ndarray, kind: torch.dtype = torch.float64) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(device, kind).flatten()[:, None]

    starts, lengths = row(pool.starts[slots.which], torch.int64), row(pool.lengths[slots.which])
    since = torch.arange(length, device=device, dtype=torch.float64) - row(slots.at)
    place = row(slots.offset) + since * row(slots.ratio)
    if wrap:
        place = place % lengths
    inside = (since >= 0) & (place < lengths - TAPS) & (row(slots.gain) > 0)
    whole = place.floor()
    part = (place - whole).float()
    index = starts + whole.clamp(min=0).minimum((lengths - TAPS).clamp(min=0)).long()
    out = torch.zeros(len(index), len(pool.samples), length, device=device)
    for tap in range(TAPS):
        distance = part - (tap - TAPS // 2 + 1)
        weight = torch.special.sinc(distance) * torch.cos(distance * (torch.pi / (TAPS + 1))) ** 2
        source = (index + (tap - TAPS // 2 + 1)).clamp(0, pool.samples.shape[1] - 1)
        for channel in range(len(pool.samples)):
            out[:, channel] += weight * pool.samples[channel][source]
    edge = torch.minimum(since, (lengths - TAPS - place) / row(slots.ratio)) if not wrap else since + FADE
    fade = (edge / FADE).clamp(0, 1).float() * inside
    out *= fade[:, None]
    power = (out**2).sum(dim=(1, 2)) / (inside.sum(dim=1).clamp(min=1) * len(pool.samples))
    out *= (LEVEL / power.sqrt().clamp(min=1.0))[:, None, None] * row(slots.gain).float()[:, None]
    return out.unflatten(0, slots.which.shape)


def _placed(slots: Slots, lines: Tensor) -> Tensor:
    """(B, slots, n) to (B, 2, n)."""
    pan = torch.from_numpy(slots.pan).to(lines)
    sides = torch.stack([1 - pan.clamp(min=0), 1 + pan.clamp(max=0)], dim=2)
    return torch.einsum("bsn,bsc->bcn", lines, sides)


def _pressed(voice: Tensor, rng: np.random.Generator) -> Tensor:
    """Some voices through an overdriven amplifier."""
    size = len(voice)
    drive = np.where(rng.random(size) < 0.12, 10 ** rng.uniform(0.5, 1.7, size), 0.1)
    drive = torch.from_numpy(drive).to(voice)[:, None, None]
    return torch.tanh(voice * drive) / drive


def _arranged(played: Tensor, slots: Slots, rng: np.random.Generator) -> Tensor:
    """(B, 2 pieces, 2, n) to (B, 2, n): the width of the image and its sides are random."""
    shape = slots.which.shape
    width = torch.from_numpy(rng.uniform(0.2, 1.6, shape) * np.where(rng.random(shape) < 0.5, 1, -1)).to(played)
    middle, side = played.mean(dim=2), (played[:, :, 0] - played[:, :, 1]) / 2 * width[:, :, None]
    return torch.stack([(middle + side).sum(dim=1), (middle - side).sum(dim=1)], dim=1)


def _coloured(
    voice: Tensor, rest: Tensor, rng: np.random.Generator, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Both with random tones, the voice in a random room, some through a low-pass; a third in mono."""
    size, _, length = voice.shape
    points = 1 << 15
    points *= -(-(length + int(ROOM_SECONDS * RATE)) // points)
    spectra = [torch.fft.rfft(each, points) for each in (voice, rest)]
    bins = spectra[0].shape[2]
    frequency = torch.linspace(0, RATE / 2, bins, device=voice.device)
    top = torch.from_numpy(np.where(rng.random(size) < 0.25, rng.uniform(6000, 17000, size), 1e6)).to(voice)[:, None]
    low_pass = 1 / (1 + (frequency / top) ** 24).sqrt()
    for spectrum in spectra:
        curve = torch.from_numpy(rng.normal(0, TONE_DB, (size, TONE_POINTS))).to(voice)
        position = (torch.log2(frequency.clamp(min=40) / 40) / np.log2(RATE / 80) * (TONE_POINTS - 1)).clamp(
            max=TONE_POINTS - 1.001
        )
        lower = position.long()
        share = position - lower
        gain = 10 ** ((curve[:, lower] * (1 - share) + curve[:, lower + 1] * share) / 20)
        spectrum *= (gain * low_pass)[:, None]
    narrow = rng.random(size) < 0.12  # a telephone, or a mix that leaves room for the bass
    bottom = np.where(narrow, rng.uniform(150, 600, size), 1.0)
    ceiling = np.where(narrow, rng.uniform(3000, 9000, size), 1e6)
    bottom, ceiling = (torch.from_numpy(each).to(voice)[:, None] for each in (bottom, ceiling))
    passed = 1 / ((1 + (frequency / ceiling) ** 8) * (1 + (bottom / frequency.clamp(min=1)) ** 6)).sqrt()
    spectra[0] *= passed[:, None]
    spectra[0] *= torch.fft.rfft(_rooms(size, rng, generator), points)
    voice, rest = (torch.fft.irfft(spectrum, points)[..., :length] for spectrum in spectra)
    mono = torch.from_numpy(rng.random(size) < 0.3).to(voice)[:, None, None]
    return tuple(torch.lerp(each, each.mean(dim=1, keepdim=True).expand_as(each), mono) for each in (voice, rest))  # type: ignore[return-value]


def _rooms(size: int, rng: np.random.Generator, generator: torch.Generator) -> Tensor:
    """(B, 2, n) impulse responses: dry, with a tail of noise that differs left and right, or with echoes."""
    device = generator.device
    count = int(ROOM_SECONDS * RATE)
    time = torch.arange(count, device=device) / RATE

    def row(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).float().to(device)[:, None, None]

    decay, delay = row(rng.uniform(0.1, ROOM_SECONDS, size)), row(rng.uniform(0.0, 0.04, size))
    tail = torch.randn(size, 2, count, device=device, generator=generator)
    tail *= 10 ** (-3 * time / decay) * (time >= delay)
    tail *= 10 ** (-row(rng.uniform(4, 20, size)) / 20) / (tail**2).sum(dim=2, keepdim=True).sqrt()
    kind = rng.random(size)
    tail *= row((kind > 0.35).astype(np.float64))
    pan = np.clip(rng.normal(0, 0.1, size), -0.5, 0.5)
    tail[:, :, 0] += torch.from_numpy(np.stack([1 + pan, 1 - pan], axis=1)).to(tail)
    for clip in np.flatnonzero(rng.random(size) < 0.12):  # as wide as a double: one side comes later
        side, late = int(rng.integers(2)), int(rng.uniform(0.006, 0.03) * RATE)
        tail[clip, side, late] += tail[clip, side, 0] * rng.uniform(0.6, 1.0)
        tail[clip, side, 0] = 0.0
    for clip in np.flatnonzero(kind > 0.88):
        step, gain = int(rng.uniform(0.08, 0.3) * RATE), rng.uniform(0.15, 0.5)
        for echo in range(1, 1 + (count - 1) // step):
            tail[clip, :, echo * step] += gain**echo
    return tail


def _levelled(
    voice: Tensor, rest: Tensor, rng: np.random.Generator, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Voice against backing at -18 to 10 dB, some without voice or backing; a master's level, hiss and saturation."""
    size = len(voice)

    def row(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(values)).to(voice)[:, None, None]

    rest = rest * (LEVEL / _active_level(rest))
    ratio_db = np.where(rng.random(size) < 0.2, rng.uniform(-18, -10, size), rng.uniform(-10, 10, size))
    voice = voice * (LEVEL / _active_level(voice)) * 10 ** (row(ratio_db) / 20)
    kind = rng.random(size)
    voice, rest = voice * row(kind > 0.06), rest * row(kind < 0.96)
    hiss = row(10 ** (rng.uniform(-75, -45, size) / 20) * (rng.random(size) < 0.15)) * LEVEL
    rest = rest + hiss * torch.randn(rest.shape, device=rest.device, generator=generator)
    peak = (voice + rest).abs().amax(dim=(1, 2), keepdim=True).clamp(min=1e-4)
    quiet = np.where(rng.random(size) < 0.25, rng.uniform(-30, -3, size), rng.uniform(-8, 0, size))
    gain = 10 ** (row(quiet) / 20) / peak
    voice, rest = voice * gain, rest * gain
    drive = row(np.where(rng.random(size) < 0.2, rng.uniform(0.5, 3, size), 0.0))
    pressed = (voice + rest) * drive
    share = torch.where(pressed.abs() > 1e-4, torch.tanh(pressed) / pressed.clone().masked_fill_(pressed == 0, 1), 1.0)
    return voice * share, rest * share


def _active_level(samples: Tensor) -> Tensor:
    """(B, 1, 1): root mean square over the tenths of a second that are not silent against the loudest."""
    power = F.avg_pool1d((samples**2).mean(dim=1, keepdim=True), RATE // 10)
    active = power > power.amax(dim=2, keepdim=True) * 1e-3
    return ((power * active).sum(dim=2, keepdim=True) / active.sum(dim=2, keepdim=True).clamp(min=1)).sqrt().clamp(1e-5)
