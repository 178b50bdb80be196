"""HiFi-GAN's discriminators at full size: one over samples, one for each of several periods.

Kong et al. 2020 (arXiv:2010.05646); one scale, as in VITS, so-vits-svc and RVC. With the default
periods it has 46.75 M parameters.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from svc.models.vits.normalisation import weight_norm

_SLOPE = 0.1


class _Stack(nn.Module):
    """Convolutions with leaky ReLUs and a last one to a single channel."""

    def __init__(self, convs: list[nn.Module], post: nn.Module) -> None:
        super().__init__()
        self.convs = nn.ModuleList(weight_norm(conv) for conv in convs)
        self.conv_post = weight_norm(post)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        features = []
        for conv in self.convs:
            x = functional.leaky_relu(conv(x), _SLOPE)
            features.append(x)
        x = self.conv_post(x)
        features.append(x)
        return x.flatten(1), features


class ScaleDiscriminator(_Stack):
    """Strided grouped convolutions over samples (B, 1, N)."""

    def __init__(self) -> None:
        # (in, out, kernel, stride, groups)
        sizes = (
            (1, 16, 15, 1, 1),
            (16, 64, 41, 4, 4),
            (64, 256, 41, 4, 16),
            (256, 1024, 41, 4, 64),
            (1024, 1024, 41, 4, 256),
            (1024, 1024, 5, 1, 1),
        )
        convs: list[nn.Module] = [
            nn.Conv1d(a, b, kernel, stride, padding=kernel // 2, groups=groups)
            for a, b, kernel, stride, groups in sizes
        ]
        super().__init__(convs, nn.Conv1d(1024, 1, 3, padding=1))


class PeriodDiscriminator(_Stack):
    """Samples (B, 1, N) folded into rows of `period`, convolved along each column."""

    def __init__(self, period: int) -> None:
        widths = (1, 32, 128, 512, 1024, 1024)
        strides = (3, 3, 3, 3, 1)
        convs: list[nn.Module] = [
            nn.Conv2d(widths[i], widths[i + 1], (5, 1), (stride, 1), padding=(2, 0)) for i, stride in enumerate(strides)
        ]
        super().__init__(convs, nn.Conv2d(1024, 1, (3, 1), padding=(1, 0)))
        self.period = period

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Score (B, S) and feature maps (B, C, rows, period)."""
        missing = -x.shape[-1] % self.period
        if missing:
            x = functional.pad(x, (0, missing), mode="reflect")
        return super().forward(x.unflatten(-1, (-1, self.period)))


class MpdMsd(nn.Module):
    """The scale discriminator and one period discriminator for each of `periods`, in this order."""

    def __init__(self, periods: Sequence[int] = (2, 3, 5, 7, 11)) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList([ScaleDiscriminator(), *(PeriodDiscriminator(p) for p in periods)])

    def forward(self, audio: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        """For each discriminator its score (B, S) and feature maps, the raw score map last.

        audio (B, 1, N), N > the longest period.
        """
        return [discriminator(audio) for discriminator in self.discriminators]


class RvcV1Discriminator(MpdMsd):
    """The set that RVC v1 trains against, 55.0 M parameters."""

    def __init__(self) -> None:
        super().__init__((2, 3, 5, 7, 11, 17))


class RvcV2Discriminator(MpdMsd):
    """The set that RVC v2 trains against, 71.4 M parameters."""

    def __init__(self) -> None:
        super().__init__((2, 3, 5, 7, 11, 17, 23, 37))
