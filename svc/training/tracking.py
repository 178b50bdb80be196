"""Where a run writes what it measured: metrics.jsonl, TensorBoard, sample audio and pictures."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from svc.errors import CheckpointError


class Tracker:
    """Writes into `run_dir`: metrics.jsonl (one JSON object per line), tensorboard/ and samples/.

    Continuing at `start_step` drops what an earlier process logged after that step, because these steps
    are made again. An inactive tracker (all but the main process) writes nothing.
    """

    def __init__(self, run_dir: Path, start_step: int = 0, active: bool = True) -> None:
        self.run_dir = run_dir
        self.active = active
        self._file: Any = None
        self._writer: Any = None
        if not active:
            return
        from torch.utils.tensorboard import SummaryWriter

        try:
            run_dir.mkdir(parents=True, exist_ok=True)
            drop_lines_after(self.metrics_path, start_step)
            self._file = self.metrics_path.open("a", encoding="utf-8")
            purge = start_step + 1 if start_step else None
            self._writer = SummaryWriter(str(run_dir / "tensorboard"), purge_step=purge)
        except OSError as error:
            raise CheckpointError(
                f"The run folder {run_dir} cannot be written ({error}): choose another with --run."
            ) from error

    @property
    def metrics_path(self) -> Path:
        """The run's metrics.jsonl."""
        return self.run_dir / "metrics.jsonl"

    def log(self, step: int, kind: str, values: dict[str, float]) -> None:
        """One line of metrics.jsonl and one TensorBoard scalar per value, named `kind`/name."""
        if not self.active:
            return
        self._file.write(json.dumps({"step": step, "kind": kind, **values}) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._writer.add_scalar(f"{kind}/{name}", value, step)

    def audio(self, step: int, name: str, samples: np.ndarray, sample_rate: int) -> None:
        """Mono samples (N,) to TensorBoard."""
        if self.active:
            self._writer.add_audio(f"audio/{name}", np.clip(samples, -1, 1)[None], step, sample_rate)

    def sample(self, folder: str, name: str, samples: np.ndarray, sample_rate: int) -> None:
        """Mono samples (N,) to samples/<folder>/<name>.wav."""
        if not self.active:
            return
        from svc.audio.signal import Audio
        from svc.audio.writing import write_audio

        audio = Audio(np.ascontiguousarray(samples[None], np.float32), sample_rate)
        write_audio(self.run_dir / "samples" / folder / f"{name}.wav", audio)

    def picture(self, step: int, name: str, figure: Any) -> None:
        """A matplotlib figure to TensorBoard."""
        if not self.active:
            return
        self._writer.add_image(f"pictures/{name}", figure_pixels(figure), step, dataformats="HWC")

    def close(self) -> None:
        """Flush and close all files."""
        if self.active:
            self._file.close()
            self._writer.close()

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The complete lines of a metrics.jsonl; a line cut short by a kill is left out."""
    lines = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(line))
            except json.JSONDecodeError:
                continue
    return lines


def drop_lines_after(path: Path, step: int) -> None:
    """Rewrite a metrics.jsonl without the lines of later steps (and without a torn last line)."""
    if not path.is_file():
        return
    kept = [line for line in read_metrics(path) if line.get("step", 0) <= step]
    part = path.with_name(f".{path.name}.part")
    part.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    os.replace(part, path)


def comparison_figure(
    spectra: dict[str, np.ndarray], f0_hz: dict[str, np.ndarray], frame_rate: float, mel_floor: float
) -> Any:
    """Log-mel pictures (bands, T) one above the other, and below them F0 curves (T,) in Hz, 0 where unvoiced.

    Keys are titles; `mel_floor` is the natural-log level drawn black.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2 * len(spectra) + 2), layout="tight")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(spectra) + 1, 1, sharex=True)
    for axis, (title, mel) in zip(axes, spectra.items()):
        seconds = mel.shape[1] / frame_rate
        axis.imshow(mel, origin="lower", aspect="auto", vmin=mel_floor, extent=(0, seconds, 0, len(mel)), cmap="magma")
        axis.set_ylabel(f"{title}\nmel band")
    for title, curve in f0_hz.items():
        times = (np.arange(len(curve)) + 0.5) / frame_rate
        axes[-1].plot(times, np.where(curve > 0, curve, np.nan), label=title, linewidth=1)
    axes[-1].set(xlabel="seconds", ylabel="F0 in Hz")
    axes[-1].legend(loc="upper right", fontsize="small")
    return figure


def figure_pixels(figure: Any) -> np.ndarray:
    """A drawn figure as (height, width, 3) uint8."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
