"""A Hugging Face hub of a few lines, on threads of this process: repositories of one commit each.

It answers what `datasets`, `transformers` and `huggingface_hub` ask when they read by id: a repository's commit, its
tree, what its paths are, and its files. It also takes commits to models, from whoever brings its token. Another process
uses it with `environment`.
"""

import base64
import hashlib
import json
import os
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Hub:
    """Repositories by kind and id (`datasets/openai/gsm8k`, `models/mine/reader`), each its files by path.

    Attributes:
      address: of the running server.
      asked: the paths that were asked for, in order.
      token: what allows to write.
      private: the repositories that were made as private ones, by kind and id.
    """

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    address: str = ""
    asked: list[str] = field(default_factory=list)
    token: str = "hf_of_the_test"
    private: list[str] = field(default_factory=list)

    def commit(self, repository: str) -> str:
        """The one commit of a repository: forty digits that change with its files."""
        return hashlib.sha1(repr(sorted(self.repositories[repository].items())).encode()).hexdigest()

    def environment(self, home: Path) -> dict[str, str]:
        """Variables of a process that reads from this hub, with an empty cache under `home`."""
        kept = {name: os.environ[name] for name in ("PATH", "HIERROUTER_DATA") if name in os.environ}
        here = {"HF_ENDPOINT": self.address, "HF_HOME": str(home / "hf"), "XDG_CACHE_HOME": str(home / "cache")}
        quiet = {"HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(home)}
        return kept | here | quiet

    def find(self, path: str) -> tuple[str, list[str]] | None:
        """The repository that a path begins with, by kind and id, and the path's rest."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if parts[0] == "api":
            parts = parts[1:]
        kind = parts.pop(0) if parts[0] in ("datasets", "models") else "models"
        return ("/".join([kind, *parts[:2]]), parts[2:]) if len(parts) >= 2 else None


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(b"")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, body: bytes) -> None:
        path = urlsplit(self.path).path
        self.hub.asked.append(path)
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":  # of a card
            return self._json({"errors": [], "warnings": []})
        found = self.hub.find(path)
        if found is None or found[0] not in self.hub.repositories:
            return self._refuse("RepoNotFound")
        repository, rest = found
        files, commit = self.hub.repositories[repository], self.hub.commit(repository)
        act, revision, *inside = rest or ["revision", "main"]
        if act in ("preupload", "commit") and not self._may_write():
            return None
        if act == "preupload":
            modes = [{"path": one["path"], "uploadMode": "regular"} for one in json.loads(body)["files"]]
            return self._json({"files": [{**one, "shouldIgnore": False} for one in modes]})
        if act == "commit":
            return self._commit(repository, body)
        if revision not in ("main", commit):
            return self._refuse("RevisionNotFound")
        inner = "/".join(inside)
        if act == "resolve":
            if inner not in files:
                return self._refuse("EntryNotFound")
            etag = f'"{hashlib.sha256(files[inner]).hexdigest()}"'
            return self._send(files[inner], {"ETag": etag, "X-Repo-Commit": commit, "Accept-Ranges": "bytes"})
        if act == "revision":
            names = [{"rfilename": name} for name in files]
            return self._json({"id": repository.partition("/")[2], "sha": commit, "siblings": names, "private": False})
        entries = _entries(files)
        if act == "paths-info":
            asked = parse_qs(body.decode())["paths"] if b"=" in body else json.loads(body)["paths"]
            return self._json([entries[name] for name in asked if name in entries])
        below = [entry for name, entry in entries.items() if not inner or name.startswith(f"{inner}/")]
        return self._json(below) if below else self._refuse("EntryNotFound")

    def _may_write(self) -> bool:
        if self.headers.get("Authorization") == f"Bearer {self.hub.token}":
            return True
        self._send(b'{"error": "Invalid credentials"}', {"Content-Type": "application/json"}, 401)
        return False

    def _create(self, what: dict[str, Any]) -> None:
        if self._may_write():
            repository = f"models/{what['organization']}/{what['name']}"
            self.hub.repositories.setdefault(repository, {})
            if what.get("visibility") == "private":
                self.hub.private.append(repository)
            self._json({"url": f"{self.hub.address}/{repository.partition('/')[2]}"})

    def _commit(self, repository: str, body: bytes) -> None:
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                content = base64.b64decode(line["value"]["content"])
                self.hub.repositories[repository][line["value"]["path"]] = content
        commit = self.hub.commit(repository)
        url = f"{self.hub.address}/{repository.partition('/')[2]}/commit/{commit}"
        self._json({"commitUrl": url, "commitOid": commit, "pullRequestUrl": None})

    def _json(self, data: Any) -> None:
        self._send(json.dumps(data).encode(), {"Content-Type": "application/json"})

    def _refuse(self, code: str) -> None:
        self._send(b"{}", {"X-Error-Code": code, "X-Error-Message": code}, 404)

    def _send(self, data: bytes, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _entries(files: dict[str, bytes]) -> dict[str, dict[str, Any]]:
    """Files and folders of a repository as its tree lists them."""
    found: dict[str, dict[str, Any]] = {}
    for name, data in files.items():
        for parent in Path(name).parents[:-1]:
            found[str(parent)] = {"type": "directory", "oid": "0" * 40, "size": 0, "path": str(parent)}
        digest = hashlib.sha1(data).hexdigest()
        found[name] = {"type": "file", "oid": digest, "size": len(data), "path": name}
    return found


def serve(hub: Hub) -> ThreadingHTTPServer:
    """Start the hub, on a port of its own; `shutdown` ends it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    return server
