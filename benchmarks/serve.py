r"""How many pictures does `viceversa serve` translate, how fast, and is any answer lost or wrong?

    viceversa demo
    python benchmarks/serve.py demo/run demo/data/testA
    python benchmarks/serve.py --rounds 1 demo/run demo/data/testA -- --batch 4

One client first, then fifty at once, in turns, over loopback; clients and server share the machine. Each answer is
compared with what `viceversa translate` writes. Memory is that of all the server's processes (unshared), after each
round.
"""

from __future__ import annotations

import argparse
import http.client
import io
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles

import numpy as np
import psutil
from PIL import Image

COMMAND = [sys.executable, "-m", "viceversa"]


def expected(model: str, folder: Path) -> list[tuple[bytes, bytes]]:
    """Return pictures, and what `viceversa translate` makes of each."""
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([*COMMAND, "translate", model, str(folder), out, "--batch", "1"], check=True)
        files = sorted(path for path in Path(out).rglob("*") if path.is_file())
        return [((folder / path.relative_to(out)).read_bytes(), path.read_bytes()) for path in files]


def client(port: int, jobs: list[tuple[bytes, bytes]], said: Counter[str]) -> list[float]:
    """Send pictures one after the other; return the seconds that each took, and count the answers."""
    connection, times = http.client.HTTPConnection("127.0.0.1", port, timeout=600), []
    for picture, translation in jobs:
        while True:
            start = time.perf_counter()
            try:
                connection.request("POST", "/translate", picture)
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException):
                said["lost"] += 1
                connection.close()
                break
            if answer.status != 503:
                times.append(time.perf_counter() - start)
                said[str(answer.status)] += 1
                said[verdict(content, translation)] += 1
                break
            said["503"] += 1
            time.sleep(int(answer.headers["Retry-After"]))
    connection.close()
    return times


def verdict(content: bytes, translation: bytes) -> str:
    """Tell whether an answer is the translation, bit for bit or up to rounding."""
    if content == translation:
        return "same"
    one, other = (np.asarray(Image.open(io.BytesIO(file)), int) for file in (content, translation))
    return "rounded" if one.shape == other.shape and abs(one - other).max() <= 1 else "wrong"


def load(port: int, jobs: list[tuple[bytes, bytes]], clients: int) -> tuple[float, list[float], Counter[str]]:
    """Return the seconds for all jobs by so many clients, those for each, and the answers."""
    said = Counter[str]()
    shares = [jobs[first::clients] for first in range(clients)]
    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        times = [one for share in threads.map(lambda share: client(port, share, said), shares) for one in share]
    return time.perf_counter() - start, times, said


def cpu(family: list[psutil.Process]) -> float:
    """Return the seconds that processes have computed."""
    return sum(times.user + times.system for times in (one.cpu_times() for one in family))


def main() -> None:
    """Run the benchmark and print a line for each round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("options", nargs="*", help="of viceversa serve, after --")
    args = parser.parse_args()
    pairs = expected(args.model, args.pictures)
    jobs = [pairs[number % len(pairs)] for number in range(args.requests)]
    command = [*COMMAND, "serve", args.model, "--port", "0", *args.options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.search(r":(\d+)", server.stdout.readline())
        assert found is not None
        port, first = int(found[1]), psutil.Process(server.pid)
        load(port, jobs[:20], 2)  # warm
        print("clients  per second  CPU ms each   p50   p95   p99 ms  memory MB   answers")
        for _ in range(args.rounds):
            for clients, share in ((1, jobs[: len(jobs) // 5]), (args.clients, jobs)):
                family = [first, *first.children(recursive=True)]
                before = cpu(family)
                seconds, times, said = load(port, share, clients)
                each = 1000 * (cpu(family) - before) / len(share)
                cuts = quantiles(times, n=100)
                memory = sum(one.memory_full_info().uss for one in family) / 1e6
                p50, p95, p99 = (1000 * cuts[percent - 1] for percent in (50, 95, 99))
                figures = f"{clients:7} {len(times) / seconds:11.1f} {each:12.1f} {p50:6.0f}{p95:6.0f}{p99:6.0f}"
                print(f"{figures} {memory:13.0f}   {dict(said)}", flush=True)
        server.terminate()


if __name__ == "__main__":
    main()
