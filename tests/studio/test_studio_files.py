"""What the browser may ask for, over HTTP: files of the workspace that are meant for it, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from viceversa.studio import Studio
from viceversa.studio.files import add_routes
from viceversa.studio.trainings import Trainings
from viceversa.studio.workspace import Workspace


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    root = tmp_path / "work"
    (root / "photos").mkdir(parents=True)
    Image.new("RGB", (8, 6), "red").save(root / "photos" / "a.png")
    (root / "photos" / "drawing.svg").write_text("<svg onload='alert(1)'/>")
    (root / "page.html").write_text("<script>fetch('/translate')</script>")
    (root / "config.yaml").write_text("run: x")
    (tmp_path / "key.png").write_bytes(b"secret")
    (root / "photos" / "key.png").symlink_to(tmp_path / "key.png")
    workspace, app = Workspace(root), FastAPI()
    add_routes(app, Studio(workspace, Trainings(workspace)))
    return TestClient(app)


@pytest.mark.parametrize(
    "name",
    [
        *("../key.png", "%2e%2e/key.png", "photos/key.png", "photos/../../key.png", "%2fetc%2fpasswd", "a%00.png"),
        *("photos/drawing.svg", "config.yaml", "photos", "", ".studio/queue/0001.json", ".studio/.lock"),
    ],
)
@pytest.mark.parametrize("route", ["files", "thumbs", "report"])
def test_nothing_else_is_sent(client: TestClient, route: str, name: str) -> None:
    answer = client.get(f"/{route}/{name}")
    assert answer.status_code == 404
    assert b"secret" not in answer.content


def test_a_picture_is_sent_and_can_be_saved(client: TestClient) -> None:
    answer = client.get("/files/photos/a.png")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert "attachment" in client.get("/files/photos/a.png?download=1").headers["content-disposition"]


def test_a_page_from_the_workspace_is_shown_in_a_sandbox(client: TestClient) -> None:
    policy = client.get("/files/page.html").headers["content-security-policy"]
    assert policy.startswith("sandbox")
    assert "allow-same-origin" not in policy
