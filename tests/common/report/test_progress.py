import io

import numpy as np
import pytest

from common.report.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    seconds = 100.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def test_a_log_gets_one_line_at_the_end(clock):
    stream = io.StringIO()
    with Progress(1000, stream=stream, label="eval", clock=clock) as progress:
        for _ in range(10):
            clock.seconds += 2
            progress.update(100, acc=0.5, seen=np.int64(7))
        assert stream.getvalue() == ""
    progress.close()
    assert stream.getvalue() == "eval 1000/1000 images, 50.0 images/s, 0:20 in all, acc 0.5000, seen 7\n"


def test_a_log_of_a_long_run_gets_a_line_every_half_minute(clock):
    stream = io.StringIO()
    progress = Progress(100, "steps", stream, clock=clock)
    for _ in range(100):
        clock.seconds += 1
        progress.update(1)
    assert stream.getvalue().splitlines() == [
        "30/100 steps, 1.0 steps/s, 1:10 left",
        "60/100 steps, 1.0 steps/s, 0:40 left",
        "90/100 steps, 1.0 steps/s, 0:10 left",
    ]


def test_a_terminal_is_redrawn_at_most_five_times_a_second(clock, wide):
    stream = Terminal()
    with Progress(1024, stream=stream, clock=clock) as progress:
        for _ in range(1024):
            clock.seconds += 1 / 128
            progress.update(1, loss=1.0)
    lines = stream.getvalue().split("\r")[1:]
    assert 30 <= len(lines) <= 5 * 8 + 1
    assert [line for line in lines if "\n" in line] == lines[-1:]
    assert lines[-1].rstrip() == "1024/1024 images, 128 images/s, 0:08 in all, loss 1.0000"


def test_a_shorter_line_covers_the_longer_one(clock, wide):
    stream = Terminal()
    progress = Progress(10, stream=stream, clock=clock)
    for values in ({"note": "x" * 40}, {}):
        clock.seconds += 1
        progress.update(1, **values)
    first, second = stream.getvalue().split("\r")[1:]
    assert len(first) == len(second) and "x" not in second


def test_a_line_fits_the_terminal(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    stream = Terminal()
    progress = Progress(10, stream=stream, clock=clock)
    clock.seconds += 1
    progress.update(1)
    assert len(stream.getvalue().strip("\r")) == 19


@pytest.mark.parametrize(
    "seconds, total, text",
    [
        (10.0, 3700, "100/3700 images, 10.0 images/s, 6:00 left"),
        (1000.0, 3700, "100/3700 images, 0.100 images/s, 10:00:00 left"),
        (0.5, 100, "100/100 images, 200 images/s, 0:00 left"),
        (10.0, None, "100 images, 10.0 images/s"),
        (10.0, 50, "100/50 images, 10.0 images/s, 0:00 left"),
    ],
)
def test_rate_and_time_left(clock, wide, seconds, total, text):
    stream = Terminal()
    progress = Progress(total, stream=stream, clock=clock)
    clock.seconds += seconds
    progress.update(100)
    assert stream.getvalue() == "\r" + text


def test_an_empty_or_broken_run_ends_its_line(clock, wide):
    stream = Terminal()
    with pytest.raises(ValueError), Progress(0, stream=stream, clock=clock):
        raise ValueError
    assert stream.getvalue() == "\r0/0 images, 0.000 images/s, 0:00 in all\n"


def test_stderr_is_the_default(capsys):
    Progress(3).close()
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("0/3 images")
