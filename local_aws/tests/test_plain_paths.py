# Copyright: Contributors to the mlops.mlflow_aws project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders with long or awkward paths: tasks see them under names that every program can take."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from local_aws import plain_paths
from local_aws import settings
from local_aws.settings import Settings
from local_aws.settings import SettingsError

AWKWARD = ["a b", "x%2Fy", "Müller", "a:b", "a'b", 'a"b', "long/" * 20]


@pytest.fixture(autouse=True)
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the links are made in the test."""
    folder = tmp_path / "links"
    folder.mkdir()
    monkeypatch.setattr(plain_paths, "_LINKS", folder)
    return folder


def settings_of(home: Path, runtimes: Path | None = None) -> Settings:
    """The settings of a home that need not be there."""
    home.mkdir(parents=True, exist_ok=True)
    loaded = settings.load(home)
    return loaded if runtimes is None else dataclasses.replace(loaded, runtimes=runtimes)


def test_a_plain_folder_keeps_its_name(links: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(plain_paths, "_LONGEST", 500)
    given = settings_of(tmp_path / "home@2")
    with plain_paths.provide(given) as plain:
        assert plain is given
        assert not list(links.iterdir())


@pytest.mark.parametrize("name", AWKWARD)
def test_an_awkward_folder_has_a_plain_name_while_the_daemon_runs(links: Path, tmp_path: Path, name: str) -> None:
    given = settings_of(tmp_path / name / "home")
    with plain_paths.provide(given) as plain:
        for folder, real in ((plain.tasks, given.tasks), (plain.runtimes, given.runtimes)):
            assert folder.is_relative_to(links / f"local-aws-{os.geteuid()}")
            assert folder.samefile(real)
        assert plain.home == given.home
    assert not list(links.iterdir())
    assert given.tasks.is_dir()


def test_a_name_is_short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(plain_paths, "_LINKS", Path("/tmp"))
    with plain_paths.provide(settings_of(tmp_path / "a b")) as plain:
        assert plain_paths.is_plain(plain.tasks / "123456789012/layer/bin/python3.14")


def test_folders_that_two_daemons_share_have_two_names(tmp_path: Path) -> None:
    shared = tmp_path / "shared software"
    first, second = settings_of(tmp_path / "first one", shared), settings_of(tmp_path / "second one", shared)
    with plain_paths.provide(first) as one:
        with plain_paths.provide(second) as other:
            assert one.runtimes != other.runtimes
            assert one.runtimes.samefile(other.runtimes)
        # The other daemon's end takes nothing from this one.
        assert one.runtimes.samefile(shared)


def test_what_a_killed_daemon_left_is_used(links: Path, tmp_path: Path) -> None:
    given = settings_of(tmp_path / "a b")
    killed = plain_paths.provide(given)
    left = killed.__enter__()
    left.tasks.unlink()
    left.tasks.symlink_to("/nowhere")
    with plain_paths.provide(given) as plain:
        assert plain == left
        assert plain.tasks.samefile(given.tasks)


@pytest.mark.parametrize("found", ["link", "open to others"])
def test_a_folder_of_somebody_else_is_not_trusted(links: Path, tmp_path: Path, found: str) -> None:
    own = links / f"local-aws-{os.geteuid()}"
    if found == "link":
        own.symlink_to(tmp_path)
    else:
        own.mkdir()
        own.chmod(0o777)
    given = settings_of(tmp_path / "a b")
    attempt = plain_paths.provide(given)
    with pytest.raises(SettingsError, match=r"no link to it can be made in .*not this user's alone") as raised:
        attempt.__enter__()
    assert str(given.home) in str(raised.value)
