"""Weight files of the F0 estimators that users bring: small, with random weights, in their programs' containers."""

from pathlib import Path

import torch

from svc.pitch.fcpe_old_network import FcpeOldNetwork, FcpeOldShape
from svc.pitch.rmvpe_network import RmvpeNetwork, RmvpeShape

RMVPE = RmvpeShape(channels=1, levels=3, middle_layers=1, blocks=1, recurrent=4, recurrent_layers=2, mels=128, bins=360)
FCPE = FcpeOldShape(mels=128, channels=8, layers=1, attention=24, head=12, features=9, kernel=31, bins=360)
NAMES = ("rmvpe", "fcpe_old")


def small_file(name: str, folder: Path, seed: int = 1) -> Path:
    """The file that the estimator `name` looks for, in `folder`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name == "rmvpe":
            torch.save(RmvpeNetwork(RMVPE).eval().state_dict(), folder / "rmvpe.pt")
            return folder / "rmvpe.pt"
        torch.save({"config": {}, "model": fcpe_old_state()}, folder / "fcpe.pt")
        return folder / "fcpe.pt"


def fcpe_old_state() -> dict[str, torch.Tensor]:
    """Tensors of the first FCPE under the names of its time, when weight norm was written g and v."""
    network = FcpeOldNetwork(FCPE)
    network.cent_table.copy_(torch.linspace(2050, 9150, 360))
    old = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    state = {}
    for key, value in network.state_dict().items():
        for ours, theirs in old.items():
            key = key.replace(ours, theirs)
        state[key] = value
    return state
