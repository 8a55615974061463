"""Stages of long work: how long each took, and what is being done, for who watches in this process or another."""

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")
Say = Callable[[str], None]


class Stages:
    """Runs stages, times them in ``seconds`` by name, and says what is being done: to ``progress``, and in ``file``."""

    def __init__(self, file: Path, progress: Say) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._file = file
        self._file.parent.mkdir(parents=True, exist_ok=True)

    def run(self, name: str, step: Callable[[Say], T]) -> T:
        self._say(name)
        start = time.monotonic()
        try:
            return step(lambda text: self._say(f"{name} {text}"))
        finally:
            self.seconds[name] = round(time.monotonic() - start, 2)

    def run_steps(self, name: str, step: Callable[[Say], T]) -> T:
        """Run a stage that says the name of each of its steps as it begins: they are timed too."""
        starts: list[tuple[str, float]] = []

        def within(say: Say) -> T:
            def begin(text: str) -> None:
                starts.append((text, time.monotonic()))
                say(text)

            return step(begin)

        try:
            return self.run(name, within)
        finally:
            ends = [at for _text, at in starts[1:]] + [time.monotonic()]
            for (text, at), end in zip(starts, ends, strict=False):
                self.seconds[f"{name} {text}"] = round(end - at, 2)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.unlink(missing_ok=True)

    def _say(self, text: str) -> None:
        self._file.write_text(text, encoding="utf-8")
        self._progress(text)


def doing(file: Path) -> str:
    """What the work that runs on ``file``, in whatever process, said last; empty when none runs."""
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
