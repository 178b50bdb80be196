"""How many cores a training on the CPU uses: all of them, one less while other programs need it."""

import os
import time
from typing import NamedTuple

import psutil
import torch

FIRST_LOOK_SECONDS = 0.5
TAKEN = 0.25  # of a core that other programs may use before it counts as theirs
NOT_BUSY = {"idle", "iowait", "guest", "guest_nice"}  # guests are counted in user and nice as well


class Spent(NamedTuple):
    """A moment, and the seconds of all cores that all programs and this one (with its children) had used until then."""

    seconds: float
    everybody: float
    ours: float


def spent() -> Spent:
    """What the machine says now."""
    everybody = sum(value for name, value in psutil.cpu_times()._asdict().items() if name not in NOT_BUSY)
    this = psutil.Process()
    return Spent(time.monotonic(), everybody, sum(map(_seconds, [this, *this.children(recursive=True)])))


def _seconds(process: psutil.Process) -> float:
    try:
        return sum(process.cpu_times()[:2])  # user and system
    except psutil.Error:  # it has just ended
        return 0.0


class Cores:
    """Sets torch's number of threads to `most`, or to one less while other programs use a core.

    The layers are small: where one thread waits for a core, all wait. On two idle cores two threads make 1.5 times
    the steps per second of one, on two busy cores half as many. With OMP_NUM_THREADS in the environment nothing is
    changed: sums over threads are rounded differently, so only then does a run repeat to the bit.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.chosen_here = most > 1 and "OMP_NUM_THREADS" not in os.environ
        if self.chosen_here:
            self.last = spent()
            time.sleep(FIRST_LOOK_SECONDS)
            self.follow()

    def follow(self) -> None:
        """Chooses anew by what other programs have used since the last call."""
        if not self.chosen_here:
            return
        last, self.last = self.last, spent()
        passed = [now - before for now, before in zip(self.last, last, strict=True)]
        taken = (passed[1] - passed[2]) / max(passed[0], 1e-3)
        free = (psutil.cpu_count() or self.most) - taken
        torch.set_num_threads(self.most if free > self.most - TAKEN else self.most - 1)
