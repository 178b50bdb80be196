"""Memory of the web page's server and of the process that keeps the voice, over many conversions in a row.

    python benchmarks/page_memory.py [--conversions 30] [--seconds 20] [--separate spleeter] [--voice FILE]

Each conversion goes through the API as a client's would: the song is sent, converted, and its files are fetched.
After each, both processes' resident memory and the server's threads and open files are read. The slope is that of a
straight line through the second half, where everything that is loaded once has been loaded.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from conversion_bench import RATE, made_singing
from page_server import ROOT, PageServer, page_server

MB = 1e6
VOICE = ROOT / "svc" / "assets" / "base_voice.safetensors"


def sample(server: PageServer) -> dict[str, float]:
    """Resident MB of the server and of all its children together, and what else may pile up."""
    import psutil

    head = psutil.Process(server.process.pid)
    children = head.children(recursive=True)
    return {
        "server_mb": head.memory_info().rss / MB,
        "worker_mb": sum(child.memory_info().rss for child in children) / MB,
        "workers": len(children),
        "threads": head.num_threads(),
        "files": head.num_fds(),
    }


def convert(client: Any, song: Path, voice: str, options: dict[str, Any]) -> None:
    from gradio_client import handle_file

    stored = client.predict(handle_file(song), api_name="/add_song")[0]
    job = client.predict(song=stored, voice=voice, options=options, api_name="/convert")
    while job["state"] in ("queued", "running"):
        time.sleep(0.5)
        job = client.predict(job["id"], api_name="/job")
    if job["state"] != "done":
        raise SystemExit(f"a conversion ended as {job}")
    client.predict(job["id"], api_name="/result")


def slope(values: list[float]) -> float:
    """MB for each conversion, over the second half."""
    import numpy as np

    half = values[len(values) // 2 :]
    return float(np.polyfit(np.arange(len(half)), half, 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversions", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--separate", default="spleeter")
    parser.add_argument("--voice", type=Path, default=VOICE)
    asked = parser.parse_args()

    import soundfile
    from gradio_client import Client

    found: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "runs" / "kept").mkdir(parents=True)
        shutil.copyfile(asked.voice, folder / "runs" / "kept" / "voice.safetensors")
        song = folder / "song.wav"
        soundfile.write(song, made_singing(asked.seconds), RATE)
        with page_server(folder, folder / "runs") as server:
            server.wait({200})
            client = Client(server.url, verbose=False)
            print(json.dumps({"conversion": 0, **sample(server)}), flush=True)
            for number in range(1, asked.conversions + 1):
                began = time.monotonic()
                convert(client, song, "server-kept", {"separate": asked.separate})
                found.append(sample(server))
                rounded = {name: round(value, 1) for name, value in found[-1].items()}
                print(json.dumps({"conversion": number, **rounded, "seconds": time.monotonic() - began}), flush=True)
    for name in ("server_mb", "worker_mb"):
        values = [entry[name] for entry in found]
        shown = {at: round(values[at - 1], 1) for at in (1, 2, 10, 20, 30) if at <= len(values)}
        print(name, shown, f"slope {slope(values):+.2f} MB a conversion")


if __name__ == "__main__":
    main()
