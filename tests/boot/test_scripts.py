# SPDX-License-Identifier: GPL-2.0-or-later
"""The scripts that need no machine: fetch, deps and test's own counting."""

import importlib.util
import os
import subprocess

import pytest
from conftest import ROOT


def script(name, *args, **env):
    return subprocess.run([ROOT / "scripts" / name, *args], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False,
                          env={**os.environ, **{key: str(value) for key, value in env.items()}})


@pytest.fixture(name="sources")
def _sources(tmp_path):
    for name in ("qemu_10.0.2+ds.orig.tar.xz", "qemu-10.0.13.tar.xz", "qemu-10.1.0.tar.xz",
                 "qemu-10.0.13.tar.xz.sig", "linux-6.12.9.tar.xz", "linux-6.12.107.tar.xz",
                 "linux-6.13.1.tar.xz"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize("name, newest", [("qemu", "qemu-10.0.13.tar.xz"),
                                          ("linux", "linux-6.12.107.tar.xz")])
def test_fetch_takes_the_newest_version_that_fits(sources, name, newest):
    done = script("fetch", "--path", name, DUVISOR_SOURCES=sources)
    assert done.stdout == f"{sources / newest}\n"
    assert script("fetch", name, DUVISOR_SOURCES=sources).returncode == 0


def test_fetch_says_what_a_folder_lacks(sources):
    done = script("fetch", DUVISOR_SOURCES=sources)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "musl" in done.stderr and "qemu" not in done.stderr


# Debian's tools, of an archive whose index names three versions of musl's source of which it has some. Each file is
# its name and a line end; the index has their checksums, or of what is named in $forged a wrong one.
ARCHIVE = {
    "apt-get": """
        case "$*" in *source*)
            for word; do version=${word#musl=}; done
            case $there in *" $version "*) echo "musl_$version" >"musl_$version.orig.tar.gz" ;; *) exit 100 ;; esac
        esac""",
    "apt-cache": """
        for version in 1.2.5 1.2.10 1.2.9; do
            sum=$(echo "musl_$version" | sha256sum | cut -c 1-64)
            [ "$version" != "$forged" ] || sum=$(echo | sha256sum | cut -c 1-64)
            printf 'Version: %s\\nChecksums-Sha256:\\n %s 1 musl_%s.orig.tar.gz\\n' $version "$sum" $version
        done""",
}


@pytest.mark.parametrize("there, forged, taken", [
    (" 1.2.5 1.2.9 1.2.10 ", "", "1.2.10"),
    (" 1.2.5 1.2.9 ", "", "1.2.9"),
    (" 1.2.5 1.2.10 ", "1.2.10", "1.2.5"),
    (" ", "", None),
])
def test_fetch_takes_the_newest_source_that_the_archive_has(tmp_path, there, forged, taken):
    for name, text in ARCHIVE.items():
        (tmp_path / name).write_text(f"#!/bin/sh{text}\n")
        (tmp_path / name).chmod(0o755)
    done = script("fetch", "musl", PATH=f"{tmp_path}:{os.environ['PATH']}", XDG_CACHE_HOME=tmp_path,
                  DUVISOR_MIRROR="http://archive.invalid/", there=there, forged=forged)
    found = [path.name for path in (tmp_path / "duvisor" / "pool").glob("musl*")]
    assert found == ([f"musl_{taken}.orig.tar.gz"] if taken else []), done.stderr
    assert done.returncode == (0 if taken else 1)


def test_fetch_refuses_what_it_does_not_know():
    done = script("fetch", "no-such-thing")
    assert done.returncode == 1
    assert "no such source: no-such-thing" in done.stderr


def test_deps_are_all_here():
    done = script("deps", "--check")
    assert done.returncode == 0, done.stderr


MESON = """
project('t')
sh = find_program('sh')
test('tap', sh, args: ['-c', 'printf "1..4\\nok 1\\nnot ok 2 - bad\\nok 3 # SKIP no\\nok 4\\n"'],
  protocol: 'tap', suite: 'unit')
test('dies', sh, args: ['-c', 'echo 1..2; echo ok 1; kill -9 $$'], protocol: 'tap', suite: 'unit')
test('plain', sh, args: ['-c', 'true'], suite: ['boot', 'slow'])
test('plain-bad', sh, args: ['-c', 'echo why; false'], suite: 'shim')
test('plain-skip', sh, args: ['-c', 'exit 77'], suite: 'shim')
test('long', sh, args: ['-c', 'echo 1..2; echo ok 1; sleep 60'], protocol: 'tap', timeout: 1,
  suite: 'isa')
"""


@pytest.fixture(scope="module", name="project")
def _project(tmp_path_factory):
    place = tmp_path_factory.mktemp("project")
    (place / "meson.build").write_text(MESON)
    subprocess.run(["meson", "setup", place / "build", place], check=True, capture_output=True)
    return place / "build"


@pytest.mark.parametrize("args, status, line", [
    # tap 2+1 and a skip, dies 1+1, plain 1, plain-bad 1, plain-skip, long 1+1
    ([], 1, "5 passed, 4 failed, 2 skipped"),
    (["--quick"], 1, "4 passed, 4 failed, 2 skipped"),
    (["--suite", "boot"], 0, "1 passed, 0 failed"),
    (["--suite", "unit"], 1, "3 passed, 2 failed, 1 skipped"),
    (["--suite", "boot", "--quick"], 125, None),
])
def test_test_counts_cases(project, args, status, line):
    done = script("test", "--no-build", *args, DUVISOR_BUILD=project)
    assert done.returncode == status, done.stdout
    if line:
        assert done.stdout.splitlines()[-1] == line, done.stdout


def test_test_says_why_something_failed(project):
    done = script("test", "--no-build", DUVISOR_BUILD=project)
    assert "not ok 2 - bad" in done.stdout
    assert "why" in done.stdout.splitlines()


@pytest.fixture(name="world")
def _world(tmp_path, monkeypatch):
    """scripts/lib/world.py as a module, with a source tree and a build tree that are all but empty."""
    spec = importlib.util.spec_from_file_location("world", ROOT / "scripts" / "lib" / "world.py")
    world = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(world)
    source, build = tmp_path / "source", tmp_path / "build"
    for path in (source / "meson.build", source / "images" / "init", build / "build.ninja",
                 build / "qemu" / "qemu-system-riscv64"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    world.built = 0

    def count_build(*targets):
        assert targets == world.MACHINE
        world.built += 1
    monkeypatch.setattr(world, "ROOT", source)
    monkeypatch.setattr(world, "BUILD", build)
    monkeypatch.setattr(world, "build", count_build)
    world.build_machine()
    assert world.built == 1
    world.build_machine()
    assert world.built == 1
    return world


CHANGES = {
    "source written": lambda world: (world.ROOT / "images" / "init").write_text("y2"),
    "source touched": lambda world: os.utime(world.ROOT / "images" / "init", (1, 1)),
    "source added": lambda world: (world.ROOT / "images" / "new").write_text(""),
    "source removed": lambda world: (world.ROOT / "images" / "init").unlink(),
    "product replaced": lambda world: (world.BUILD / "qemu" / "qemu-system-riscv64").write_text("y2"),
    "product removed": lambda world: (world.BUILD / "build.ninja").unlink(),
}


def test_a_world_without_a_build_tree_is_set_up(tmp_path):
    """With nothing but a clone: here it ends at once, as what is to be built is not to be had."""
    done = subprocess.run([ROOT / "scripts" / "trap-table"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False, env={**os.environ, "DUVISOR_BUILD": str(tmp_path / "build"),
                                            "DUVISOR_SOURCES": str(tmp_path)})
    assert done.returncode == 1
    assert (tmp_path / "build" / "build.ninja").exists()
    assert "the build failed; the whole log is" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_makes_run_build_again(world, change):
    CHANGES[change](world)
    world.build_machine()
    assert world.built == 2
    world.build_machine()
    assert world.built == 2


def test_a_setting_makes_run_build_again(world, monkeypatch):
    monkeypatch.setenv("DUVISOR_SOURCES", "/somewhere")
    world.build_machine()
    assert world.built == 2


def test_qemu_under_development_is_built_always(world):
    mark = world.BUILD / "src" / "qemu" / ".duvisor-dev"
    mark.parent.mkdir(parents=True)
    mark.touch()
    world.build_machine()
    world.build_machine()
    assert world.built == 3
