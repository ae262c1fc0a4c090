"""One hunt from paths to a ranked list, with progress, interruption and an account of the input.

Limit: one process, one pass; inputs are read one after the other.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from beacon_detect.analysis import MIN_CHECK_INS, Settings
from beacon_detect.analysis.compiled_cache import is_compiled, load_compiled
from beacon_detect.analysis.engine import EVENTS_PER_SERIES, SMALL_BATCH
from beacon_detect.context import ContextSettings
from beacon_detect.errors import BeaconError, DataError, PermissionMissingError
from beacon_detect.hunt.collector import Collector
from beacon_detect.hunt.interrupts import Interrupts
from beacon_detect.hunt.ranking import INTERNAL, Row, rank, score
from beacon_detect.readers import READERS, reader_named, recognise
from beacon_detect.readers.base import Problems, ReadOptions
from beacon_detect.readers.inputs import Source, expand
from beacon_detect.readers.strangers import told

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from beacon_detect.hunt.allow import AllowList
    from beacon_detect.readers.base import Chunk, Reader
    from beacon_detect.readers.inputs import Input


LOOK_EVERY = 0.05
"""Seconds between two looks for the end of the compiler or an interrupt."""
WAIT = "compiling the scoring for this machine, once: up to half a minute"


class Progress(Protocol):
    """Told how far the reading is."""

    def __call__(self, label: str, taken: int, total: int, records: int) -> None:
        """Take the file being read, bytes read and in all (0 unknown), and records so far."""


class Taker(Protocol):
    """Takes what is read."""

    @property
    def records(self) -> int:
        """Records taken so far."""

    def add(self, chunk: Chunk) -> None:
        """Take one chunk of a reader."""


@dataclass(frozen=True, slots=True)
class HuntOptions:
    """What the user asked for."""

    format: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    since_ns: int | None = None
    until_ns: int | None = None
    least_score: float = 0.0
    least_risk: float = 0.0
    allow: AllowList | None = None
    internal: Sequence[str] = INTERNAL
    settings: Settings = field(default_factory=Settings)
    context: ContextSettings = field(default_factory=ContextSettings)
    tell: Callable[[str], None] = lambda _: None
    """Takes a sentence for the user about a wait."""


UNREADABLE = "not read"
"""Format of an input that could not be opened."""


@dataclass(frozen=True, slots=True)
class FileAccount:
    """What became of one input."""

    label: str
    format: str
    records: int
    problems: Problems


@dataclass(frozen=True, slots=True)
class Hunt:
    """The answer, and how it came about."""

    rows: list[Row]
    files: list[FileAccount]
    unknown: dict[str, str]
    """Inputs in no format we know, and what they are instead, in words."""
    interrupted: bool
    collector: Collector
    scored: int
    """Pairs that were scored."""
    watching: int
    """Series with too few check-ins to score."""
    allowed: int
    """Rows that the allow file left out."""
    highest: float = 0.0
    """Best score of any pair, listed or not."""

    @property
    def why_empty(self) -> str:
        """Say in one sentence why the list is empty."""
        pairs = len(self.collector.pairs)
        seen = _pairs(pairs)
        if not self.collector.records:
            return "no connection in the input" if self.files else "no input could be read"
        if not pairs:
            return f"all {self.collector.records:,} records are outside the chosen time"
        if self.allowed:
            return f"{_pairs(self.allowed)} found, all covered by the allow file"
        if not self.scored:
            return f"{seen}, none with {MIN_CHECK_INS} check-ins or more"
        return (
            f"{seen}, {self.scored:,} scored, none at or above the least score or risk"
            f" (the highest score is {self.highest:.1%})"
        )


def _pairs(count: int) -> str:
    return "1 pair" if count == 1 else f"{count:,} pairs"


def hunt(paths: Sequence[str], options: HuntOptions, progress: Progress | None = None) -> Hunt:
    """Read the inputs, score every pair and rank them.

    Interrupted with Ctrl-C, it ranks what was read so far, and of that the strongest pairs.

    Raises
    ------
    DataError
        A path does not exist, ``format`` is unknown, or the file contradicts it.
    """
    collector = Collector(options.since_ns, options.until_ns)
    with Interrupts() as interrupts:
        taker = _Whole(collector, interrupts)
        files, unknown, interrupted = read_inputs(paths, options, taker, progress)
        interrupts.only_note()
        collector.finish()
        if not interrupted:
            _await_compiler(collector, interrupts, options.tell)
        scored, watching = score(
            collector, options.settings, options.least_score,
            lambda: interrupted or interrupts.came,
        )  # fmt: skip
        interrupted = interrupted or interrupts.came
    rows = rank(
        collector, scored, options.least_score, options.internal, options.context,
        options.least_risk,
    )  # fmt: skip
    rows, allowed = options.allow.split(rows) if options.allow else (rows, 0)
    return Hunt(
        rows=rows, files=files, unknown=unknown, interrupted=interrupted, collector=collector,
        scored=len(scored.pairs), watching=watching, allowed=allowed,
        highest=float(scored.measures["score"].max(initial=0.0)),
    )  # fmt: skip


class _Whole:
    """A taker that an interrupt does not leave with half a chunk."""

    def __init__(self, collector: Collector, interrupts: Interrupts) -> None:
        self._collector = collector
        self._interrupts = interrupts

    @property
    def records(self) -> int:
        return self._collector.records

    def add(self, chunk: Chunk) -> None:
        with self._interrupts.held():
            self._collector.add(chunk)


def _await_compiler(
    collector: Collector, interrupts: Interrupts, tell: Callable[[str], None]
) -> None:
    """Have the scoring compiled, if there is much to score, by a process that can be given up."""
    series, events = (sum(c) for c in zip(*(log.scorable() for log in collector.logs.values()), strict=True))  # fmt: skip
    if series + events / EVENTS_PER_SERIES <= SMALL_BATCH:
        return
    if not is_compiled():
        from beacon_detect.control_plane.compile_ahead import compiling

        tell(WAIT)
        with compiling(nice=0) as child:
            while child.poll() is None and not interrupts.came:
                time.sleep(LOOK_EVERY)
    if not interrupts.came:
        # Before the series are cut into slices, each of which alone may look too small for it.
        load_compiled()


def read_inputs(
    paths: Sequence[str], options: HuntOptions, taker: Taker, progress: Progress | None = None
) -> tuple[list[FileAccount], dict[str, str], bool]:
    """Read every input into ``taker``; return the accounts, what is unknown, and if interrupted.

    Of several inputs those that cannot be opened are counted, and the others read.

    Raises
    ------
    DataError
        As for :func:`hunt`.
    PermissionMissingError
        No input could be opened, and the first for want of a permission.
    """
    forced = _forced(options.format)
    reading = ReadOptions(options.columns)
    inputs = expand(paths)
    files: list[FileAccount] = []
    unknown: dict[str, str] = {}
    closed: list[BeaconError] = []
    total = sum(item.size for item in inputs)
    before = 0
    for item in inputs:
        try:
            account = _read(item, forced, reading, taker, (before, total, progress))
        except KeyboardInterrupt:
            return files, unknown, True
        before += item.size
        if isinstance(account, str):
            unknown[item.label] = account
        elif isinstance(account, BeaconError):
            closed.append(account)
            files.append(_closed(item, account))
        else:
            files.append(account)
    if closed and len(closed) == len(inputs):
        raise closed[0]
    return files, unknown, False


def tell_unread(
    files: Sequence[FileAccount], unknown: Mapping[str, str], tell: Callable[[str], None]
) -> None:
    """Tell of every input that was not read, and why, where no list of them is shown."""
    for label, what in unknown.items():
        tell(f"{label}: {what}")
    for account in files:
        if account.format == UNREADABLE:
            tell(f"{account.label}: {', '.join(account.problems.counts)}")


def _closed(item: Input, error: BeaconError) -> FileAccount:
    problems = Problems()
    problems.note(error.message.removeprefix(f"{item.label}: "), item.label)
    return FileAccount(item.label, UNREADABLE, 0, problems)


def _forced(name: str) -> Reader | None:
    if not name:
        return None
    reader = reader_named(name)
    if reader is None:
        known = ", ".join(reader.name for reader in READERS)
        raise DataError(f"no format is called {name!r}", hint=f"the formats are: {known}")
    return reader


def _read(
    item: Input,
    forced: Reader | None,
    options: ReadOptions,
    taker: Taker,
    report: tuple[int, int, Progress | None],
) -> FileAccount | BeaconError | str:
    """Read one input; return what it is when nobody reads that, or why it cannot be opened."""
    before, total, progress = report
    problems = Problems()
    try:
        opened = Source(item, problems)
    except (DataError, PermissionMissingError) as error:
        return error
    with opened as source:
        if not source.head:
            return FileAccount(item.label, "empty", 0, problems)
        reader = forced or recognise(source.head)
        if reader is None and options.columns:
            reader = reader_named("csv")
        if reader is None:
            return told(source.head)
        at_first = taker.records
        for chunk in reader.read(source, problems, options):
            taker.add(chunk)
            if progress is not None:
                progress(item.label, before + source.taken, total, taker.records)
        return FileAccount(item.label, reader.name, taker.records - at_first, problems)
