"""Starts, kills and restarts the two processes, cuts the wire between them, settles accounts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.faults.papers import write_agent, write_center
from tests.faults.polls import begin_of, poll

ROOT = Path(__file__).resolve().parents[2]
_READY_S = 30.0


class Program:
    """A process whose lines are read as they come."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._news = asyncio.Condition()
        self._is_read = False

    @classmethod
    async def start(cls, *words: str) -> Program:
        """Start a module of the tests."""
        return await cls.start_command(sys.executable, "-m", *words)

    @classmethod
    async def start_command(cls, *words: str) -> Program:
        process = await asyncio.create_subprocess_exec(
            *words,
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        )
        return cls(process)

    async def read(self) -> None:
        """Read lines until the process ends."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            async with self._news:
                self.lines.append(line.decode().rstrip())
                self._news.notify_all()
        await self.process.wait()
        async with self._news:
            self._is_read = True
            self._news.notify_all()

    async def said(self, begin: str, times: int = 1, timeout_s: float = _READY_S) -> str:
        """Wait for the `times`-th line that begins so, and return it."""
        assert await self.says(begin, times, timeout_s), (
            f"ended with {self.process.returncode}: {self.lines[-3:]}"
        )
        return [line for line in self.lines if line.startswith(begin)][times - 1]

    async def says(self, begin: str, times: int = 1, timeout_s: float = _READY_S) -> bool:
        """Wait for the `times`-th line that begins so; False where the process ends without."""

        def found() -> bool:
            return sum(line.startswith(begin) for line in self.lines) >= times

        async with asyncio.timeout(timeout_s), self._news:
            await self._news.wait_for(lambda: found() or self._is_read)
        return found()

    async def ended(self, timeout_s: float = _READY_S) -> int:
        """Wait for the end; return the exit code, negative for a signal."""
        async with asyncio.timeout(timeout_s):
            return await self.process.wait()

    async def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def terminate(self) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        await self.process.wait()


class Wire:
    """A TCP relay between the two that can be cut and joined again."""

    def __init__(self) -> None:
        self.target = 0
        self._is_cut = False
        self._writers: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]
            self.cut()

    def cut(self) -> None:
        self._is_cut = True
        for writer in self._writers:
            writer.transport.abort()

    def join(self) -> None:
        self._is_cut = False

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        with suppress(OSError):
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        self._writers -= {writer, far_writer}


class Scene:
    """A receiver, a sender and a wire in a folder; `settle` compares the store with the polls."""

    def __init__(self, folder: Path, machines: int = 40, cadence_s: float = 0.02) -> None:
        self.folder = folder
        self.polls = 0
        self.machines = machines
        self.cadence_s = cadence_s
        self.begin = begin_of(datetime.now(UTC))
        self.wire = Wire()
        self.receiver: Program
        self.sender: Program
        self._port = 0
        self._tasks: asyncio.TaskGroup

    @asynccontextmanager
    async def play(self, die: str | None = None) -> AsyncIterator[Scene]:
        """Start both; `die` is when the receiver kills itself. Nothing is left running after."""
        center = self.folder / "center"
        center.mkdir(parents=True)
        write_agent(self.folder / "site", write_center(center))
        async with self.wire.open() as self._port, asyncio.TaskGroup() as self._tasks:
            await self.start_receiver(die)
            await self.start_sender()
            try:
                yield self
            finally:
                await self.sender.kill()
                await self.receiver.kill()

    async def start_receiver(self, die: str | None = None) -> None:
        words = [str(self.folder / "center"), *([die] if die else [])]
        self.receiver = await Program.start("tests.faults.receiver", *words)
        self._tasks.create_task(self.receiver.read())
        # One that dies may come to its end before it listens, over what it finds in its inbox.
        if await self.receiver.says("listening"):
            self.wire.target = int((await self.receiver.said("listening")).split()[1])

    async def start_sender(self) -> None:
        (self.folder / "site" / "stop").unlink(missing_ok=True)
        self.sender = await Program.start(
            "tests.faults.sender",
            str(self.folder / "site"),
            f"https://127.0.0.1:{self._port}",
            str(self.begin.timestamp()),
            str(self.machines),
            str(self.cadence_s),
        )
        self._tasks.create_task(self.sender.read())

    async def settle(self) -> dict[str, Any]:
        """Stop polling, wait until all has arrived, and check that each sample is there once.

        Returns what the receiver tells of its store.
        """
        await self.finish_sending()
        await self.receiver.terminate()
        told: dict[str, Any] = json.loads((await self.receiver.said("told")).partition(" ")[2])
        self.compare(told)
        return told

    async def finish_sending(self) -> None:
        """Stop polling and wait until the spool is empty."""
        (self.folder / "site" / "stop").touch()
        await self.sender.said("done", timeout_s=60)
        with closing(sqlite3.connect(self.folder / "site" / "spool.sqlite")) as spool:
            found = spool.execute("SELECT value FROM notes WHERE name = 'note:next'").fetchone()
        self.polls = int(found[0])

    def compare(self, told: dict[str, Any]) -> None:
        """Raw rows and every roll-up against the polls that were made."""
        minutes: dict[tuple[str, int], list[int]] = {}
        rows = hashing = hashrate = 0
        for number in range(self.polls):
            for sample in poll(self.begin, number, self.machines):
                rows += 1
                hashing += sample.state == "hashing"
                hashrate += sample.hashrate_hs or 0
                minute = (sample.machine, int(sample.at.timestamp()) // 60)
                if sample.hashrate_hs is not None:
                    minutes.setdefault(minute, []).append(sample.hashrate_hs)
        averages = sum(sum(values) / len(values) for values in minutes.values())
        assert told["rows"] == told["distinct_rows"] == rows
        assert told["minute_samples"] == told["rack_samples"] == told["site_samples"] == rows
        assert told["minute_hashing"] == hashing
        assert told["hashrate"] == told["minute_hashrate"] == hashrate
        assert abs(told["rack_hashrate"] - averages) < averages * 1e-9
        assert abs(told["site_hashrate"] - averages) < averages * 1e-9
        assert told["site_machines"] == self.machines
        assert told["asides"] == []


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
