"""A bar for whatever takes longer than two seconds, silent where nobody looks."""

from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Bar:
    """A progress bar with a note at its end; without a console, or with none that is a terminal, nothing is drawn.

    It is also what pooch asks of a progress bar: `total`, `update`, `reset`, `close`.
    """

    def __init__(self, console: Console | None, title: str, total: float | int | None = 1.0):
        self._shown = console is not None and console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}", style="bold"),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not self._shown,
            transient=False,
            refresh_per_second=4,
        )
        self._task = self._progress.add_task(title, total=total, note="")
        self.total = total

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def to(self, completed: float | int, note: str = "") -> None:
        """Move the bar to `completed` of its total."""
        if self._shown:
            self._progress.update(self._task, completed=completed, note=note)

    def update(self, amount: float | int) -> None:
        """Move the bar by `amount`."""
        if self._shown:
            self._progress.update(self._task, total=self.total, advance=amount)

    def reset(self) -> None:
        """Move the bar back to nothing (pooch does so before it fills it up)."""
        self.to(0.0)

    def close(self) -> None:
        """Take the bar down."""
        self._progress.stop()


def download_bars(console: Console | None) -> Any:
    """What `equivax.data` calls with the name of each file that it downloads."""

    def make(name: str) -> Bar:
        return Bar(console, f"download {name}", total=None).__enter__()

    return make
