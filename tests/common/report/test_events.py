"""Files of events for TensorBoard, read back by the format's own rules, and how long a job takes."""

import struct

import pytest

from common.checkpoint.protobuf import fields
from common.errors import ConfigError
from common.report.duration import Duration, spoken
from common.report.events import FILE, crc32c, write_events

HISTORY = [
    {"epoch": 1, "loss": 0.5, "seconds": 2.0, "finished": True, "bits_of_layers": {"a": 4, "b": 2.5}},
    {"epoch": 300, "loss": 0.25, "seconds": 1.5, "test_acc": 0.75},
]


def masked(content):
    crc = crc32c(content)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(content):
    """The messages of a file, their checksums compared."""
    while content:
        length, check = struct.unpack("<QI", content[:12])
        assert check == masked(content[:8])
        event, content = content[12 : 12 + length], content[12 + length :]
        assert struct.unpack("<I", content[:4])[0] == masked(event)
        yield dict(fields(memoryview(event), 10))
        content = content[4:]


def number(message):
    value = dict(fields(message, 10))
    return bytes(value[1]).decode(), value[2]


def test_numbers_come_back(tmp_path):
    write_events(tmp_path / "board", HISTORY)
    version, first, second = records((tmp_path / "board" / FILE).read_bytes())
    assert bytes(version[3]) == b"brain.Event:2"
    assert (first[2], second[2]) == (1, 300)
    tags = [number(value)[0] for kind, value in fields(first[5], 100) if kind == 1]
    assert tags == ["loss", "seconds", "bits_of_layers/a", "bits_of_layers/b"]
    content = (tmp_path / "board" / FILE).read_bytes()
    assert struct.pack("<f", 0.25) in content and struct.pack("<d", 3.5) in content


def test_a_longer_history_begins_with_a_shorter_one(tmp_path):
    write_events(tmp_path, HISTORY[:1])
    before = (tmp_path / FILE).read_bytes()
    write_events(tmp_path, HISTORY)
    assert (tmp_path / FILE).read_bytes().startswith(before)


def test_tensorboard_reads_them(tmp_path):
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard")
    write_events(tmp_path, HISTORY)
    found = loader.EventAccumulator(str(tmp_path))
    found.Reload()
    assert [(event.step, event.value) for event in found.Scalars("loss")] == [(1, 0.5), (300, 0.25)]


def test_a_folder_that_cannot_be_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="tensorboard: cannot write into"):
        write_events(tmp_path / "file" / "board", HISTORY)


@pytest.mark.parametrize(("each", "steps", "expected"), [(2.0, 5000, "2.8 h"), (0.5, 400, "3 min"), (0.1, 300, None)])
def test_a_long_job_says_how_long_it_takes_once(each, steps, expected):
    now, said = [0.0], []
    duration = Duration(steps, "3 epochs", said.append, lambda: now[0])
    for _ in range(steps):
        now[0] += each
        duration.step()
    assert [line.split("about ")[1].split(" (")[0] for line in said] == ([expected] if expected else [])
    assert spoken(400000) == "4.6 days"
