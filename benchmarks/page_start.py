"""How long the page takes from `python webui.py` to its first answer, and to the page itself.

    python benchmarks/page_start.py [--runs 3]

Both in seconds on the clock and in CPU seconds of the server, which are what the clock shows on a machine that does
nothing else. The first answer is a short page that shows itself anew until the real one is there.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from page_server import OPENING_STATUS, page_server


def measure(folder: Path) -> dict[str, float]:
    """Clock and CPU seconds of one start."""
    import psutil

    found = {}
    (folder / "runs").mkdir()
    with page_server(folder, folder / "runs") as server:
        process = psutil.Process(server.process.pid)
        for name, statuses in (("answer", {OPENING_STATUS, 200}), ("page", {200})):
            found[f"{name}_s"] = server.wait(statuses)
            used = process.cpu_times()
            found[f"{name}_cpu_s"] = used.user + used.system
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    runs = []
    for _ in range(parser.parse_args().runs):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(measure(Path(folder)))
        print(json.dumps({name: round(value, 2) for name, value in runs[-1].items()}), flush=True)
    print("median", json.dumps({name: round(statistics.median(run[name] for run in runs), 2) for name in runs[0]}))


if __name__ == "__main__":
    main()
