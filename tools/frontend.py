"""Lays the front-end libraries and fonts of package-lock.json into `center/static/vendor/`.

Only what a page loads is taken, and its licences. `vendor.json` beside the files tells the about
box what they are: `[{"name", "version", "license", "license_file", "files": [...]}]`. Nothing of it
is committed.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "src" / "redoubt" / "center" / "static" / "vendor"
MODULES = ROOT / "node_modules"
OLDEST_NODE = 18

# Package → what a page loads of it: path in the package → name in the folder.
FILES = {
    "htmx.org": {"dist/htmx.min.js": "htmx.min.js"},
    "htmx-ext-sse": {"dist/sse.min.js": "htmx-ext-sse.min.js"},
    "uplot": {"dist/uPlot.iife.min.js": "uplot.min.js", "dist/uPlot.min.css": "uplot.min.css"},
    "topojson-client": {"dist/topojson-client.min.js": "topojson-client.min.js"},
    "world-atlas": {"land-110m.json": "land-110m.json"},
}
# Font package → file name stem. Two subsets of each, latin and latin-ext, are a fifth of the whole.
FONTS = {
    "@fontsource-variable/inter": "inter",
    "@fontsource-variable/jetbrains-mono": "jetbrains-mono",
}
SUBSETS = ("latin", "latin-ext")
# Licences that a package states only in its LICENSE file.
UNSTATED = {"htmx-ext-sse": "0BSD"}


def ensure_vendor(install_node: Callable[[], Path]) -> None:
    """Lay the files unless they are there; `install_node` brings a Node.js where PATH has none."""
    inputs = (ROOT / "package-lock.json", Path(__file__))
    wanted = hashlib.sha256(b"\0".join(path.read_bytes() for path in inputs)).hexdigest()
    stamp = VENDOR / ".stamp"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    npm = find_npm() or bundled_npm(install_node())
    print(
        "redoubt: laying the front-end libraries of package-lock.json into static/vendor/",
        file=sys.stderr,
    )
    subprocess.run(
        [*npm, "ci", "--ignore-scripts", "--silent"], cwd=ROOT, stdout=sys.stderr, check=True
    )
    fresh = VENDOR.with_name("vendor.new")
    shutil.rmtree(fresh, ignore_errors=True)
    (fresh / "licences").mkdir(parents=True)
    listing = [lay_package(name, files, fresh) for name, files in FILES.items()]
    listing += [lay_font(name, stem, fresh) for name, stem in FONTS.items()]
    (fresh / "vendor.json").write_text(json.dumps(listing, indent=2) + "\n")
    (fresh / ".stamp").write_text(wanted)
    shutil.rmtree(VENDOR, ignore_errors=True)
    fresh.rename(VENDOR)


def lay_package(name: str, files: dict[str, str], folder: Path) -> dict[str, object]:
    """Copy a package's `files` and licence into `folder`; return its entry for vendor.json."""
    package = MODULES / name
    about = json.loads((package / "package.json").read_text())
    licence = f"licences/{name.removeprefix('@').replace('/', '-')}.txt"
    shutil.copyfile(package / "LICENSE", folder / licence)
    for source, target in files.items():
        shutil.copyfile(package / source, folder / target)
    return {
        "name": name,
        "version": about["version"],
        "license": about.get("license") or UNSTATED[name],
        "license_file": licence,
        "files": list(files.values()),
    }


def lay_font(name: str, stem: str, folder: Path) -> dict[str, object]:
    """Copy a variable font's subsets and add their `@font-face` rules to fonts.css."""
    rules = (MODULES / name / "index.css").read_text()
    files = {}
    for subset in SUBSETS:
        face = f"{stem}-{subset}-wght-normal"
        rule = re.search(rf"/\* {face} \*/\n@font-face \{{.*?\}}", rules, re.DOTALL)
        if rule is None:
            raise LookupError(f"expected a rule for {face} in {name}/index.css, found none")
        files[f"files/{face}.woff2"] = f"{face}.woff2"
        with (folder / "fonts.css").open("a") as sheet:
            sheet.write(rule[0].replace("./files/", "./") + "\n")
    entry = lay_package(name, files, folder)
    return entry | {"files": [*files.values(), "fonts.css"]}


def find_npm() -> list[str] | None:
    """The npm on PATH, if it stands on a Node.js that is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
    version = re.match(r"v(\d+)\.", said)
    return [npm] if version and int(version[1]) >= OLDEST_NODE else None


def bundled_npm(node: Path) -> list[str]:
    """The npm of a Node.js folder laid out as its makers ship it."""
    return [
        str(node / "bin" / "node"),
        str(node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"),
    ]
