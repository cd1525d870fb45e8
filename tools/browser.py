"""Find the browser that opens the built book in the tests: `python -m tools.browser`, run by `make test`.

A browser named by CHROMIUM comes first, then one on the PATH, then Playwright's own, which is fetched where nothing
else is there. Here too is what has to happen in it before a page is seen whole, by a test or on paper.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OPEN_EVERYTHING = """() => {
    document.querySelectorAll("details").forEach((part) => { part.open = true; });
    document.querySelectorAll(".toggle-hidden > button.toggle-button, .toggle-hidden > .admonition-title > button")
        .forEach((button) => button.click());
}"""
SETTLED = """() => {
    const charts = [...document.querySelectorAll(".rp-chart")].filter((box) => box.clientWidth > 0);
    const formulas = [...document.querySelectorAll(".math")];
    const theme = document.documentElement.dataset.theme;  // a chart drawn in the other one is about to be redrawn
    return charts.every((box) => box.dataset.drawn === theme) &&
        formulas.every((formula) => formula.querySelector("mjx-container") || formula.closest("mjx-container"));
}"""
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def on_this_machine() -> str | None:
    """Path of a browser named by CHROMIUM or found on the PATH; None where there is none."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named
    return next((path for path in map(shutil.which, NAMES) if path), None)


def playwrights_own() -> str | None:
    """Path of the browser that Playwright has fetched for itself, if it has."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def main() -> int:
    """Say which browser the tests will use; fetch Playwright's if there is no other."""
    found = on_this_machine() or playwrights_own()
    if found is None:
        print("No Chromium here; fetching Playwright's own.")
        command = [sys.executable, "-m", "playwright", "install", "chromium"]
        if subprocess.run(command, check=False).returncode:
            print("No browser: install Chromium or Chrome, or set CHROMIUM to its path.", file=sys.stderr)
            return 1
        found = playwrights_own()
    print(f"browser: {found}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
