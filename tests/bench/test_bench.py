# SPDX-License-Identifier: GPL-2.0-or-later
"""What the instruction counts on record are worth: the gate, and that it shuts. Whether the tables shown are those measured."""

import json
import re
import subprocess
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts" / "lib"))
import bench  # pylint: disable=wrong-import-position


def test_instruction_counts_are_those_on_record():
    done = subprocess.run([ROOT / "scripts" / "bench", "gate", "--no-build"], check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode == bench.EXIT_SKIPPED:
        pytest.skip(done.stdout.strip())
    if done.returncode:
        pytest.fail(done.stdout)  # an assertion would cut it


RECORD = {"small": 29, "large": 1000}


@pytest.mark.parametrize("now, wrong", [
    ({"small": 29, "large": 1000}, 0),
    ({"small": 30, "large": 1020}, 0),
    ({"small": 28, "large": 980}, 0),
    ({"small": 31, "large": 1000}, 1),
    ({"small": 27, "large": 1000}, 1),
    ({"small": 29, "large": 1021}, 1),
    ({"small": 29, "large": 979}, 1),
    ({"small": 29}, 1),
    ({"small": 29, "large": 1000, "new": 1}, 1),
])
def test_the_gate_shuts_above_and_below(now, wrong):
    assert len(bench.differences(now, RECORD)) == wrong


def test_bars_are_of_operations_on_record():
    """A bar with a misspelt name would never be checked."""
    _, record = bench.read_record()
    unsteady = [name for name, *_ in bench.BARS if bench.UNSTEADY.match(name)]
    assert {name for name, *_ in bench.BARS} - set(unsteady) <= set(record)


def test_bars_are_met_by_what_is_on_record():
    _, record = bench.read_record()
    for name, most, _ in bench.BARS:
        if most:
            assert record[name] <= most, name


def times(**ratios):
    return {name: {"duvisor": [1000], "qemu": [round(1000 * ratio)]}
            for name, ratio in ratios.items()}


@pytest.mark.parametrize("ratios, met", [
    ({"a": 1.0, "b": 2.3}, [True, True, True]),
    ({"a": 0.99, "b": 4.0}, [False, True, True]),
    ({"a": 1.0, "b": 2.2}, [True, True, False]),
    ({"a": 1.9, "b": 1.9}, [True, False, True]),
])
def test_goals_of_applications(ratios, met):
    assert [good for _, _, good in bench.overall(times(**ratios))] == met


def test_no_goals_without_a_comparison():
    assert not bench.overall({"a": {"duvisor": [1], "native": [1]}})


@pytest.mark.parametrize("ours, theirs, probability", [
    ([2], [1], 1 / 2),
    ([1], [2], 1),
    ([7], [7], 1),
    ([3, 4], [1, 2], 1 / 6),
    ([2, 4], [1, 3], 2 / 6),
    ([4, 5, 6], [1, 2, 3], 1 / 20),
    # 2.5 and 4 of the ranks 1, 2.5, 2.5 and 4: as far up are two of the six ways.
    ([2, 3], [1, 2], 2 / 6),
    (list(range(20, 40)), list(range(20)), 1 / 137846528820),
])
def test_what_chance_does(ours, theirs, probability):
    assert bench.chance(ours, theirs) == pytest.approx(probability)


def test_a_row_that_is_slower_is_named_with_its_chance():
    (_, figure, met), *_ = bench.overall({"a": {"duvisor": [11, 12], "qemu": [10, 9]}, **times(b=2, c=0.5)})
    assert (figure, met) == ("a 0.818, by chance 0.17; c 0.500, by chance 0.50", False)


def test_turns():
    assert bench.in_turns(["a", "b"], 3) == ["a", "b", "b", "a", "a", "b"]


def test_each_column_has_hosts_of_its_own_and_only_one_goes_without_patches(monkeypatch):
    hosts = []

    def in_host(script, _, *options, timeout):
        assert timeout == 9
        hosts.append((script, bench.UPSTREAM in options))
        return script + "\n"

    monkeypatch.setattr(bench, "in_host", in_host)
    text = bench.in_hosts({"duvisor": "a", "kvm": "b", "upstream": "c"}, 2, None, timeout=9, setup="s")
    assert hosts == [("sa", False), ("sb", False), ("sc", True), ("sc", True), ("sb", False), ("sa", False)]
    assert text.split() == ["sa", "sb", "sc", "sc", "sb", "sa"]


def test_all_goes_on_after_a_part_that_fails(monkeypatch, capsys):
    done = []

    def part(name):
        def measure(*_):
            done.append(name)
            if name == "boot":
                raise bench.Failure("no boot")
        return measure

    monkeypatch.setattr(bench, "prepare", lambda args: None)
    monkeypatch.setattr(bench, "PARTS", {name: part(name) for name in bench.PARTS})
    assert bench.main([]) == 1
    assert done == ["micro", "boot", "apps", "dd", "servers"]
    assert capsys.readouterr().err == "bench: boot: no boot\n"
    assert bench.main(["apps"]) == 0


@pytest.mark.parametrize("words, memory", [
    ("", [(1, 512), (2, 256), (4, 2048)]),
    ("--cpus 8 --memory 300", [(8, 300)]),
])
def test_servers_have_a_table_for_each_number_of_cpus(words, memory, monkeypatch, tmp_path):
    tables = []

    def in_hosts(commands, *_, timeout, setup):
        assert timeout and setup
        sizes = {re.search(r"(--mem|-m) (\d+)M", commands[column])[2] for column in ("duvisor", "qemu")}
        cpus = {re.search(r"(--cpus|-smp) (\d+)", commands[column])[2] for column in ("duvisor", "qemu")}
        tables.append((*map(int, cpus), *map(int, sizes)))
        return "".join(f"== {column}\napp a: 5\n" for column in commands)

    image = tmp_path / "image"
    monkeypatch.setattr(bench, "in_hosts", in_hosts)
    monkeypatch.setattr(bench, "server_images", lambda: image.touch() or {"duvisor": image})
    monkeypatch.setattr(bench, "publish", lambda *_, settings: settings)
    bench.servers(bench.parse(["servers", "--rounds", "1", *words.split()]), None)
    assert tables == memory


def test_dd_counts_the_exits_of_each_row():
    text = "".join(f"virtio-blk@10001000.{name}: {value}\n"
                   for value in (5, 15, 18) for name in ("buffers", "notifications", "interrupts"))
    text = f"== qemu\ndd a: 7 40\n== duvisor\n{text}ready\ndd a: 100 40\nready\ndd b: 200 6\nready\n"
    results, requests, exits = {}, {}, {}
    for _ in range(2):
        bench.collect_dd(text, results, requests, exits)
    assert results == {"a": {"qemu": [7, 7], "duvisor": [100, 100]}, "b": {"duvisor": [200, 200]}}
    assert (requests, exits) == ({"a": 80, "b": 12}, {"a": 20, "b": 6})


def test_exits_per_second_are_of_the_whole_loop():
    def row(duvisor, kvm):
        return {"duvisor": {"median": duvisor}, "kvm": {"median": kvm}}

    results = {"empty loop": row(50, 100), **{name: row(450, 3900) for name, *_ in bench.WALL_BARS}}
    texts = bench.exits_per_second(results)
    assert [set(column.values()) for column in texts.values()] == [{"2,000,000"}, {"250,000"}]
    assert all("per second" in heading for heading in texts)


@pytest.mark.parametrize("path", sorted((bench.DOCS / "bench").glob("*.json")), ids=lambda path: path.stem)
def test_the_page_shows_what_was_measured(path):
    data = json.loads(path.read_text(encoding="ascii"))
    assert bench.split_page(data["name"])[1].splitlines() == bench.shown(data)
    assert path.with_suffix(".svg").read_text(encoding="ascii") == bench.svg(data["name"], data["results"])


def test_the_servers_tables_together_are_those_that_are_shown():
    assert bench.split_page("servers-all")[1].splitlines() == bench.together(bench.DOCS / "bench")


def test_the_mean_of_all_tables_is_of_rows_with_both(tmp_path):
    def save(cpus, **rows):
        results = {name: {column: {"median": value} for column, value in columns.items()}
                   for name, columns in rows.items()}
        (tmp_path / f"servers-{cpus}-wall.json").write_text(json.dumps({"results": results}), encoding="ascii")

    assert not bench.together(tmp_path)
    save(1, a={"duvisor": 10, "qemu": 10}, b={"duvisor": 5, "native": 1})
    assert bench.together(tmp_path) == ["* geometric mean of all 1 rows at least 1.5: missed (1.00)"]
    save(4, a={"duvisor": 10, "qemu": 40, "native": 7})
    assert bench.together(tmp_path) == ["* geometric mean of all 2 rows at least 1.5: met (2.00)"]


def test_rows_of_the_readme_are_those_of_the_page():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| .* \|$", readme.split("## How fast is it?")[1].split("\n## ")[0], re.M)
    assert len(rows) > 2
    assert set(rows) <= set(bench.split_page("micro-icount")[1].splitlines())
