import io
import os
import threading

import numpy as np
import pytest

from common.report.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True

    def fileno(self):
        return 2  # asked for the size of the terminal, see ``clock``


class Clock:
    seconds = 100.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock(monkeypatch):
    """Time as tqdm sees it, on a terminal of 200 columns."""
    clock = Clock()
    monkeypatch.setattr("tqdm.std.time", clock)
    monkeypatch.setattr("os.get_terminal_size", lambda *_: os.terminal_size((200, 50)))
    return clock


def test_a_log_gets_one_line_at_the_end(clock):
    stream = io.StringIO()
    with Progress(1000, stream=stream, label="eval") as progress:
        for _ in range(10):
            clock.seconds += 2
            progress.update(100, seen=np.int64(7), acc=0.5)
        assert stream.getvalue() == ""
    progress.close()
    assert stream.getvalue() == "eval: 1000/1000 images [00:20<00:00, 50.00 images/s, seen=7, acc=0.5]\n"


def test_a_log_of_a_long_run_gets_a_line_every_half_minute(clock):
    stream = io.StringIO()
    progress = Progress(100, "steps", stream)
    for _ in range(100):
        clock.seconds += 1
        progress.update(1)
    assert stream.getvalue().splitlines() == [
        "30/100 steps [00:30<01:10,  1.00 steps/s]",
        "60/100 steps [01:00<00:40,  1.00 steps/s]",
        "90/100 steps [01:30<00:10,  1.00 steps/s]",
    ]


def test_values_are_those_of_the_last_update(clock):
    stream = io.StringIO()
    with Progress(2, stream=stream) as progress:
        progress.update(1, note="old")
        progress.update(1)
    assert "2/2" in stream.getvalue() and "old" not in stream.getvalue()


def test_a_terminal_is_redrawn_at_most_five_times_a_second(clock):
    stream = Terminal()
    with Progress(1024, stream=stream) as progress:
        for _ in range(1024):
            clock.seconds += 1 / 128
            progress.update(1, loss=1.0)
    lines = stream.getvalue().split("\r")[1:]
    assert 30 <= len(lines) <= 5 * 8 + 2
    assert [line for line in lines if "\n" in line] == lines[-1:]
    assert lines[-1].startswith("100%|") and "1024/1024 [00:08<00:00, 128.00 images/s, loss=1]\n" in lines[-1]


def test_a_shorter_line_covers_the_longer_one(clock):
    stream = Terminal()
    with Progress(None, stream=stream) as progress:
        for values in ({"note": "x" * 40}, {}):
            clock.seconds += 1
            progress.update(1, **values)
        first, second = stream.getvalue().split("\r")[-2:]
    assert len(first) == len(second) and "x" in first and "x" not in second


def test_a_line_fits_the_terminal(clock, monkeypatch):
    monkeypatch.setattr("os.get_terminal_size", lambda *_: os.terminal_size((20, 50)))
    stream = Terminal()
    with Progress(10, stream=stream) as progress:
        clock.seconds += 1
        progress.update(1, note="x" * 40)
        lines = stream.getvalue().split("\r")[1:]
    assert [len(line) for line in lines] == [19, 19]


@pytest.mark.parametrize(
    "seconds, total, text",
    [
        (10.0, 3700, "100/3700 images [00:10<06:00, 10.00 images/s]"),
        (1000.0, 3700, "100/3700 images [16:40<10:00:00,  0.10 images/s]"),
        (0.5, 100, "100/100 images [00:00<00:00, 200.00 images/s]"),
        (10.0, None, "100/? images [00:10<00:00, 10.00 images/s]"),
        (10.0, 50, "100/? images [00:10<00:00, 10.00 images/s]"),
    ],
)
def test_rate_and_time_left(clock, seconds, total, text):
    stream = io.StringIO()
    with Progress(total, stream=stream) as progress:
        clock.seconds += seconds
        progress.update(100)
    assert stream.getvalue().splitlines()[-1] == text


def test_bytes_are_counted_in_thousands(clock):
    stream = io.StringIO()
    with Progress(5_000_000, "bytes", stream) as progress:
        clock.seconds += 2
        progress.update(2_500_000)
    assert stream.getvalue() == "2.50M/5.00M bytes [00:02<00:02, 1.25M bytes/s]\n"


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_an_empty_or_broken_run_ends_its_line(clock, stream):
    with pytest.raises(ValueError), Progress(0, stream=stream):
        raise ValueError
    assert stream.getvalue().count("\n") == 1 and stream.getvalue().endswith("\n")


def test_a_run_that_was_given_up_leaves_no_line():
    stream = io.StringIO()
    Progress(10, stream=stream).update(1)
    assert stream.getvalue() == ""


def test_no_thread_is_started():
    before = threading.active_count()
    with Progress(3, stream=Terminal()) as progress:
        progress.update(3)
        assert threading.active_count() == before


def test_stderr_is_the_default(capsys):
    Progress(3).close()
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("0/3 images")
