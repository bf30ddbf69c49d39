"""`python -m cam_core`: the command line."""

from __future__ import annotations

from cam_core.cli import app

if __name__ == "__main__":
    app()
