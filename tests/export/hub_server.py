"""A stand-in for the Hugging Face Hub: as much of its HTTP interface as publishing and loading a model takes."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from support import serving

SHA = "0123456789abcdef0123456789abcdef01234567"
Repositories = dict[str, dict[str, bytes]]  # by USER/NAME, the files


class Handler(BaseHTTPRequestHandler):
    repositories: Repositories
    made: list[dict]
    protocol_version = "HTTP/1.1"

    def answer(self, content: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def answer_json(self, value: object, status: int = 200, **headers: str) -> None:
        self.answer(json.dumps(value).encode(), status, Content_Type="application/json", **headers)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/api/whoami-v2":
            known = self.headers.get("Authorization") == "Bearer hf_test"
            return self.answer_json({"name": "me", "type": "user"} if known else {}, 200 if known else 401)
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/[^/]+)?", path):
            files = self.repositories.get(found[1])
            if files is None:
                return self.answer_json({}, 401, X_Error_Code="RepoNotFound")
            if found[2] == "tree":
                entries = [{"type": "file", "path": n, "size": len(c), "oid": SHA} for n, c in files.items()]
                return self.answer_json(entries)
            siblings = [{"rfilename": name} for name in files]
            return self.answer_json({"id": found[1], "sha": SHA, "siblings": siblings, "private": False, "tags": []})
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path):
            files = self.repositories.get(found[1])
            if files is None or found[2] not in files:
                code = "EntryNotFound" if files is not None else "RepoNotFound"
                return self.answer(b"", 404 if files is not None else 401, X_Error_Code=code, X_Repo_Commit=SHA)
            content = files[found[2]]
            tag = hashlib.sha256(content).hexdigest()
            return self.answer(content, ETag=f'"{tag}"', X_Repo_Commit=SHA)
        return self.answer(b"", 404)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            self.made.append(asked)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            self.repositories.setdefault(name, {})
            return self.answer_json({"url": f"/{name}", "name": name, "id": name})
        if self.path == "/api/validate-yaml":
            return self.answer_json({"errors": [], "warnings": []})
        if re.search(r"/preupload/", self.path):
            files = json.loads(body)["files"]
            modes = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]
            return self.answer_json({"files": modes})
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/[^/]+", self.path.partition("?")[0]):
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.repositories[found[1]][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return self.answer_json({"commitUrl": f"/{found[1]}/commit/{SHA}", "commitOid": SHA, "success": True})
        return self.answer(b"", 404)


@contextmanager
def hub() -> Iterator[tuple[str, Repositories, list[dict]]]:
    """Serve a hub; give its address, its repositories, and what it was asked to make."""
    handler = type("Hub", (Handler,), {"repositories": {}, "made": []})
    with serving(handler) as address:
        yield address, handler.repositories, handler.made
