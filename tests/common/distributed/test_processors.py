"""How many processors a process may use, for control groups of both versions."""

import os

import pytest

from common.distributed import processors


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A machine of 16 processors whose control groups are files that the test writes."""
    monkeypatch.setattr(processors, "_CGROUPS", tmp_path)
    monkeypatch.setattr(processors, "_MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    monkeypatch.setattr(processors, "_chosen", None)
    return tmp_path


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max 100000\n", 16),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("1000 100000\n", 1),
        ("9900000 100000\n", 16),
        ("damaged", 16),
        ("1 0", 16),
        ("", 16),
    ],
)
def test_quota_of_a_container(system, text, expected):
    write(system / "cpu.max", text)
    assert processors.allowed() == processors.count() == expected
    assert processors.is_limited() == (expected < 16)


def test_the_smallest_quota_of_all_groups_counts(system):
    write(system / "membership", "0::/slice/inner\n")
    write(system / "slice" / "inner" / "cpu.max", "800000 100000\n")
    assert processors.allowed() == 8
    write(system / "slice" / "cpu.max", "300000 100000\n")
    assert processors.allowed() == 3


@pytest.mark.parametrize(("quota", "expected"), [(-1, 16), (250_000, 3), (50_000, 1)])
def test_quota_of_the_first_version(system, quota, expected):
    write(system / "membership", "7:cpu,cpuacct:/box\n3:memory:/box\n")
    write(system / "cpu,cpuacct" / "box" / "cpu.cfs_quota_us", f"{quota}\n")
    write(system / "cpu,cpuacct" / "box" / "cpu.cfs_period_us", "100000\n")
    assert processors.allowed() == expected


def test_affinity_and_choice(system, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7})
    assert processors.count() == 3 and not processors.is_limited()
    processors.choose(2)
    assert processors.count() == 2 and processors.is_limited()
    processors.choose(0)
    assert processors.count() == 3


def test_no_control_groups(system):
    assert processors.allowed() == 16
