"""`viceversa serve` as users run it: mistakes in one line; several processes, and signals."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from PIL import Image

from support import Command, environment

sys.path.append(str(Path(__file__).parents[1] / "translate"))
from generators import SMALL, weights_of

from viceversa import serve
from viceversa.cli import main

WAIT = 300.0  # seconds for a process to start on a busy machine


def picture() -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((96, 96)).convert("RGB").save(file, "PNG")
    return file.getvalue()


def failed(words: tuple[object, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> int:
    """Exit status of `viceversa serve` with one line of explanation."""
    monkeypatch.setattr(sys, "argv", ["viceversa", "serve", *map(str, words)])
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(SystemExit) as stop:
        main()
    assert capsys.readouterr().err.count("\n") == 1
    return int(stop.value.code or 0)


def test_mistakes_are_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = weights_of(tmp_path / "AtoB.safetensors", SMALL)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        mistakes = {
            ("missing",): 1,
            (tmp_path,): 1,
            (model, "--host", "0.0.0.0"): 2,
            (model, "--port", taken.getsockname()[1]): 2,
            (model, "--port", "70000"): 2,
            (model, "--workers", "0"): 2,
            (model, "--host", "203.0.113.7", "--password", "secret"): 2,
        }
        for words, status in mistakes.items():
            assert failed(words, monkeypatch, capsys) == status, words
    monkeypatch.setattr(serve, "find_spec", lambda name: None)
    assert failed((model,), monkeypatch, capsys) == 1


@contextmanager
def served(model: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server in a process group of its own, and its address."""
    command = [sys.executable, "-m", "viceversa", "serve", str(model), "--port", "0", *words]
    process = subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        url = re.match(r"http://[\w.:]+", process.stdout.readline())
        assert url
        until = time.monotonic() + WAIT
        while True:
            try:
                if httpx.get(f"{url[0]}/health", timeout=30).status_code == 200:
                    break
            except httpx.TransportError:
                assert time.monotonic() < until
                time.sleep(0.1)
        yield process, url[0]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def post(url: str) -> int:
    """Return the status of an answer; 0 if nobody listened any more, -1 if it was lost."""
    try:
        return httpx.post(f"{url}/translate", content=picture(), timeout=60).status_code
    except httpx.ConnectError:
        return 0
    except httpx.TransportError:
        return -1


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children()
    return [one for one in children if one.status() != psutil.STATUS_ZOMBIE and "spawn_main" in " ".join(one.cmdline())]


@pytest.mark.slow
@pytest.mark.parametrize(("words", "whole_group"), [((), False), ((), True), (("--workers", "2"), True)])
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_in_the_middle_loses_nothing(
    tmp_path: Path, words: tuple[str, ...], whole_group: bool, signum: int, status: int
) -> None:
    model = weights_of(tmp_path / "AtoB.safetensors", SMALL)
    with served(model, *words) as (process, url), ThreadPoolExecutor(20) as threads:
        others = family(process)
        answers = [threads.submit(post, url) for _ in range(100)]
        while sum(answer.done() for answer in answers) < 30:
            time.sleep(0.01)
        os.killpg(process.pid, signum) if whole_group else process.send_signal(signum)
        statuses = [answer.result() for answer in answers]
        assert process.wait(60) == status
        assert set(statuses) <= {200, 0}
        assert statuses.count(200) >= 30
        psutil.wait_procs(others, 60)
        assert not [other for other in others if other.is_running() and other.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
def test_processes_that_die_are_replaced_and_end_with_the_first(tmp_path: Path) -> None:
    model = weights_of(tmp_path / "AtoB.safetensors", SMALL)
    with served(model, "--workers", "2") as (process, url):
        workers = workers_of(process)
        assert len(workers) == 2
        assert [post(url) for _ in range(4)] == [200] * 4
        assert 'viceversa_answers_total{status="200"} 4.0' in httpx.get(f"{url}/metrics", timeout=60).text
        workers[0].kill()
        until = time.monotonic() + WAIT
        while len(workers_of(process)) < 2:
            assert time.monotonic() < until
            time.sleep(0.1)
        assert post(url) == 200
        everybody = family(process)
        process.kill()
        _, alive = psutil.wait_procs(everybody, 60)
        assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_ends_all_processes(viceversa: Command, tmp_path: Path) -> None:
    broken = tmp_path / "AtoB.safetensors"
    broken.write_bytes(weights_of(tmp_path / "whole.safetensors", SMALL).read_bytes()[:-100])
    for words in ((), ("--workers", "2")):
        result = viceversa("serve", broken, "--port", "0", *words)
        assert result.returncode == 1, result.stderr
        assert "Traceback" not in result.stderr
