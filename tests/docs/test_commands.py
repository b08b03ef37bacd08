"""Every command that a page shows works: run where it can be, otherwise held against the program it names."""

from __future__ import annotations

import ast
import importlib
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docs.commands import ROOT, Shown, Wrong, check, pages, shown

PLACES = {"s3://my-bucket/cards": "cards", "s3://my-bucket/audit": "audit", "OUT": "audit"}
NOT_RUN = ("prefect", "make", "export", "python", ".", "kill", "sleep", "wait")
"""Programs of the pages that are run which another machine's state or minutes hang on; they are checked like all others."""
FAST = "\nmasks: {steps: 1}\ntriage: {budget: 1, control_rate: 0.05}\nreclassify: {strategies: [mask_crop]}\n"


@pytest.mark.parametrize("page", pages(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_are_as_the_programs_take_them(page: Path) -> None:
    for command in shown(page.name, page.read_text()):
        try:
            check(command)
        except Wrong as error:
            pytest.fail(f"{command}\n  {error}")


def test_commands_are_found() -> None:
    found = {page.name: shown(page.name, page.read_text()) for page in pages()}
    programs = Counter(command.words[0] for commands in found.values() for command in commands)
    assert programs["trapaudit"] > 25 and programs["make"] > 6 and programs["python"] > 8 and programs["prefect"] > 3
    least = {"README.md": 8, "CONTRIBUTING.md": 7, "tutorial.md": 20, "deploying.md": 6, "scaling.md": 4}
    for name, count in least.items():
        assert sum(command.is_whole for command in found[name]) >= count, name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("```\ntrapaudit run cards --model m --out o --colour\n```", "no option --colour"),
        ("```\ntrapaudit run cards --model m\n```", "out"),
        ("```bash\ntrapaudit run cards \\\n  --model m --out o --runner dask\n```", "dask"),
        ("```\ntrapaudit sql OUT\n```", "query"),
        ("```\ntrapaudit labels export OUT file\n```", "no command"),
        ("say `trapaudit export OUT --as csv` then", "no option --as"),
        ("```\nmake all\n```", "no target all"),
        ("```\npython -m benchmarks.nothing\n```", "no such module"),
        ("```\npython -m benchmarks.masks --fast\n```", "does not take --fast"),
        ("```\nprefect worker start --pol x\n```", "--pol"),
        ("```\nray start --heads\n```", "--heads"),
        ("```\ndocker compose -f docker/gone.yaml up\n```", "gone.yaml"),
        ("```\ncp docker/.env.sample docker/.env\n```", "env.sample"),
        ("```\npip install 'trapaudit[spark]'\n```", "no extra spark"),
        ("```sh\nfrobnicate --now\n```", "nothing is known"),
    ],
)
def test_a_wrong_command_is_noticed(text: str, words: str) -> None:
    (command,) = shown("page.md", text)
    with pytest.raises(Wrong, match=re.escape(words)):
        check(command)


def test_commands_are_taken_apart_as_a_shell_would() -> None:
    text = (
        'Say `make docs`.\n```\n$ trapaudit sql OUT "select 1 # one; two" | head   # a remark\n'
        "A=1 make check && make test\n```\n```python\nmake = 1\n```\n```\n SOURCE --> x\n```\n"
    )
    found = [command.words for command in shown("page.md", text) if command.words[0] != "head"]
    assert found == [
        ("make", "docs"), ("trapaudit", "sql", "OUT", "select 1 # one; two"), ("make", "check"), ("make", "test"),
    ]  # fmt: skip


@pytest.fixture
def workplace(card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """What a reader has: images, weights and names of an architecture, labels, settings."""
    import shutil

    import torch

    from scd_core.identify.architectures import build_network

    def prepare(text: str) -> Path:
        architecture = re.findall(r"--architecture (\S+) --weights best\.pth", text)[0]
        lines = (card / "labels.csv").read_text().splitlines()
        names = sorted({line.split(",")[1] for line in lines[1:]})
        torch.manual_seed(0)
        torch.save(build_network(architecture, len(names)).state_dict(), tmp_path / "best.pth")
        source = re.findall(r"trapaudit run (\S+)", text)[0]
        shutil.copytree(card / "images", tmp_path / PLACES.get(source, source))
        (tmp_path / "names.txt").write_text("\n".join(names) + "\n")
        (tmp_path / "labels.csv").write_text("\n".join(lines[:21]) + "\n")
        settings = re.search(r"```yaml\n(media:.*?)```", text, re.DOTALL)
        (tmp_path / "config.yaml").write_text((settings[1] if settings else "") + FAST)
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return prepare


@pytest.mark.parametrize(("name", "least"), [("docs/tutorial.md", 10), ("README.md", 6)])
def test_a_reader_can_follow_the_page(
    name: str, least: int, workplace: Callable[[str], Path], trapaudit: Callable[..., Any], prefect_server: str
) -> None:
    text = (ROOT / name).read_text()
    folder = workplace(text)
    done: list[Shown] = []
    for command in shown(name, text):
        program, *arguments = command.words
        if program in NOT_RUN or not command.is_whole:
            continue
        assert program == "trapaudit", command
        arguments = [PLACES.get(word, word) for word in arguments]
        if arguments[0] == "review":
            continue  # serves until Ctrl-C; tests/review and tests/e2e have it
        if arguments[0] in ("run", "nightly") and "--config" not in arguments:
            arguments += ["--config", "config.yaml"]
        outcome = trapaudit(*arguments)
        if outcome.code == 1 and arguments[0] == "doctor" and "no worker of pool" in outcome.err:
            continue  # the worker that the page starts; tests/e2e has it
        assert outcome.code == 0, f"{command}\n{outcome.err}"
        done.append(command)
    assert len(done) >= least
    out = next(words[words.index("--out") + 1] for words in (command.words for command in done) if "run" in words)
    assert (folder / PLACES.get(out, out) / "report" / "index.html").stat().st_size > 1000


@pytest.mark.parametrize("page", pages(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_python_imports_what_is_there(page: Path) -> None:
    for code in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("scd_core"):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, name.name) for name in node.names), (page.name, node.module)


@pytest.mark.parametrize("page", pages(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_readme_leads_to_every_page() -> None:
    """To pages of docs itself, and each of those to its page of docs/research."""
    targets = set(re.findall(r"\]\((docs/[\w-]+\.md)\)", (ROOT / "README.md").read_text()))
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} <= targets
    text = "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    assert all(f"(research/{path.name})" in text for path in (ROOT / "docs" / "research").glob("*.md"))
