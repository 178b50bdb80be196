"""Exponential moving average of a model's weights; the averaged weights are what is exported."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Ema:
    """Averaged copies, in float32 on the model's device, of every tensor in its state dict.

    The decay rises as (1 + n) / (10 + n) over the first n updates up to `decay`, so that random initial
    weights are forgotten early. Tensors that are not floating point are copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self._model = model
        self.weights = {
            name: t.detach().clone().float() if t.is_floating_point() else t.clone() for name, t in self._live()
        }

    def _live(self) -> list[tuple[str, Tensor]]:
        return list(self._model.state_dict().items())

    @torch.no_grad()
    def update(self) -> None:
        """Take in the model's present weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        averaged, live = [], []
        for name, tensor in self._live():
            if tensor.is_floating_point():
                averaged.append(self.weights[name])
                live.append(tensor.detach().float())
            else:
                self.weights[name].copy_(tensor)
        torch._foreach_lerp_(averaged, live, 1.0 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model carries the averaged weights inside the `with` block, and its own again after it."""
        own = {name: tensor.detach().clone() for name, tensor in self._live()}
        try:
            self._model.load_state_dict(self.weights)
            yield
        finally:
            self._model.load_state_dict(own)

    def state_dict(self) -> dict[str, object]:
        """For the training state."""
        return {"updates": self.updates, "weights": self.weights}

    def load_state_dict(self, state: dict) -> None:
        """Continue from a training state."""
        self.updates = int(state["updates"])
        for name, tensor in self.weights.items():
            tensor.copy_(state["weights"][name])


def _averaged(tensor: Tensor) -> Tensor:
    return tensor.detach().to(torch.float32 if tensor.is_floating_point() else tensor.dtype, copy=True)
