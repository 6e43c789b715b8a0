"""The page at /: its files, and the headers that keep a browser from running anything else beside them."""

import os
from pathlib import Path
from typing import Any

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent / "page"

# Scripts, styles and pictures are files of this server; text never becomes HTML, not even by a fault of the page's own
# scripts (trusted types); no other page may hold this one in a frame.
POLICY = (
    "default-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "object-src 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)
HEADERS = {
    "content-security-policy": "; ".join(POLICY),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",  # asked for anew each time, and answered with 304 as long as it is the same
}


class PageFiles(StaticFiles):
    """The files of the page, each with the headers above."""

    def __init__(self) -> None:
        super().__init__(directory=FOLDER, html=True)

    def file_response(
        self, full_path: "os.PathLike[str] | str", stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """A file, or 304 where the browser has it already."""
        response: Any = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(HEADERS)
        return response
