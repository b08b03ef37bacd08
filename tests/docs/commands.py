"""Commands that pages show, taken out of them, and held against the programs they name."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import itertools
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

__all__ = ["ROOT", "Shown", "Wrong", "check", "pages", "shown"]

ROOT = Path(__file__).resolve().parents[2]
SHELLS = ("", "bash", "sh", "console")
PROGRAMS = ("trapaudit", "python", "make", "prefect", "docker", "ray", "pip", "git", ".venv/bin/pytest", ".ci/run")
"""Words that open a command; in a fence without a language, a block that opens with another word is no shell."""
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
BUILT_IN = ("export", "cp", "cd", ".", "mkdir", "kill", "sleep", "wait")
OF_OTHERS = ("mc",)
"""Programs of others that are neither installed here nor ours to check."""


class Wrong(Exception):
    """A command that would not work as it is shown."""


@dataclass(frozen=True)
class Shown:
    """A command on a page.

    Attributes:
        page: file name.
        line: number of its line.
        words: program and arguments.
        is_whole: in a block, to be typed as it is; otherwise a mention in a sentence, which may leave arguments out.
    """

    page: str
    line: int
    words: tuple[str, ...]
    is_whole: bool

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {' '.join(self.words)}"


def pages() -> list[Path]:
    """README, CONTRIBUTING and all of docs."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def shown(page: str, text: str) -> list[Shown]:
    """All commands of a page, in their order."""
    parts = sorted([*_blocks(text), *_mentions(text)])
    return [command for line, part, is_whole in parts for command in _commands(page, line, part, is_whole)]


def _blocks(text: str) -> Iterator[tuple[int, str, bool]]:
    """Lines of the fences that are a shell's."""
    for fence in _FENCE.finditer(text):
        block = fence[2].splitlines()
        words = block[0].removeprefix("$ ").split() if block else []
        is_known = bool(words) and words[0] in (*PROGRAMS, *BUILT_IN, *OF_OTHERS)
        if fence[1] not in SHELLS or (fence[1] == "" and not is_known):
            continue
        first = text.count("\n", 0, fence.start()) + 2
        start, whole = first, ""
        for number, line in enumerate(block, first):
            whole += line.removeprefix("$ ")
            if whole.endswith("\\"):
                whole = whole[:-1]
                continue
            yield start, whole, True
            start, whole = number + 1, ""


def _mentions(text: str) -> Iterator[tuple[int, str, bool]]:
    """Commands in sentences."""
    prose = _FENCE.sub(lambda fence: "\n" * fence[0].count("\n"), text)
    for code in re.finditer(r"`([^`]+)`", prose):
        words = code[1].split()
        if len(words) > 1 and words[0] in PROGRAMS:
            yield prose.count("\n", 0, code.start()) + 1, " ".join(words), False


def _commands(page: str, line: int, text: str, is_whole: bool) -> Iterator[Shown]:
    text = re.sub(r" > [\w./-]+| 2>&1", "", text)  # where a command's words go is no word of the command
    try:
        lexer = shlex.shlex(text, posix=True, punctuation_chars="&;|")
        lexer.whitespace_split = True
        lexer.commenters = "#"
        tokens = list(lexer)
    except ValueError as error:
        raise Wrong(f"{page}:{line}: {text}: {error}") from error
    words: list[str] = []
    for token in [*tokens, ";"]:
        if set(token) <= set("&;|"):
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words = words[1:]
            if words:
                yield Shown(page, line, tuple(words), is_whole)
            words = []
        else:
            words.append(token)


def check(command: Shown) -> None:
    """Hold a command against its program, without running it.

    Raises:
        Wrong: the program is unknown, or does not take these arguments.
    """
    program, *arguments = command.words
    checks = {
        "trapaudit": _trapaudit, "python": _python, "make": _make, "prefect": _prefect, "docker": _docker, "ray": _ray,
        "pip": _pip, "cp": _copied, ".venv/bin/pytest": _there, ".ci/run": lambda *_: _there([".ci/run"], True),
    }  # fmt: skip
    if program in checks:
        checks[program](arguments, command.is_whole)
    elif program not in (*BUILT_IN, *OF_OTHERS, "git"):
        raise Wrong(f"{program}: a program that nothing is known of")


def _trapaudit(arguments: Sequence[str], is_whole: bool) -> None:
    import typer

    from deployments.cli.main import app

    group: Any = typer.main.get_command(app)
    words = list(arguments)
    names = ["trapaudit"]
    if words == ["--help"]:
        return
    while hasattr(group, "commands"):
        if not words or words[0] not in (*group.commands, "COMMAND"):
            raise Wrong(f"{' '.join(names)}: has no command {words[:1]}")
        if words[0] == "COMMAND":
            return
        names.append(words[0])
        group = group.commands[words.pop(0)]
    options = {option: parameter for parameter in group.params for option in parameter.opts if option.startswith("-")}
    for word in words:
        if word.startswith("--") and word != "--help" and word.partition("=")[0] not in options:
            raise Wrong(f"{' '.join(names)}: no option {word}")
    if is_whole and "--help" not in words:
        try:
            group.make_context(names[-1], words)
        except Exception as error:
            raise Wrong(f"{' '.join(names)}: {error}") from error


class _Parsed(Exception):
    pass


def _python(arguments: Sequence[str], is_whole: bool) -> None:
    if arguments[0] != "-m":
        _there(arguments[:1], is_whole)
        return
    name, *words = arguments[1:]
    if name in ("venv", "pip"):
        return
    spec = importlib.util.find_spec(name)
    main = f"{name}.__main__" if spec is not None and spec.submodule_search_locations else name
    if (
        spec is None
        or importlib.util.find_spec(main) is None
        or name.split(".")[0] not in ("scd_core", "benchmarks", "deployments")
    ):
        raise Wrong(f"python -m {name}: no such module")
    if name.split(".")[0] != "benchmarks":
        if any(word.startswith("-") for word in words):
            raise Wrong(f"python -m {name}: takes no options")
        return
    parse = argparse.ArgumentParser.parse_args

    def parse_only(self: argparse.ArgumentParser, given: Any = None, namespace: Any = None) -> Any:
        parse(self, given, namespace)
        raise _Parsed

    module = importlib.import_module(main)
    with (
        mock.patch.object(argparse.ArgumentParser, "parse_args", parse_only),
        mock.patch.object(sys, "argv", [name, *words]),
        mock.patch("sys.stderr"),
    ):
        try:
            module.main()
        except _Parsed:
            return
        except SystemExit as error:
            raise Wrong(f"python -m {name}: does not take {' '.join(words)}") from error
    raise Wrong(f"python -m {name}: parses no arguments")


def _make(arguments: Sequence[str], is_whole: bool) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    if unknown := set(arguments) - targets:
        raise Wrong(f"make: no target {', '.join(sorted(unknown))}")


def _prefect(arguments: Sequence[str], is_whole: bool) -> None:
    from prefect.cli._app import _app

    importlib.import_module("prefect.cli")
    try:
        _app.parse_args(list(arguments), exit_on_error=False, print_error=False)
    except Exception as error:
        if is_whole or "rgument" not in type(error).__name__:
            raise Wrong(f"prefect: {error}") from error


def _docker(arguments: Sequence[str], is_whole: bool) -> None:
    files = [word for before, word in itertools.pairwise(arguments) if before in ("-f", "--file")]
    _there(files, is_whole)
    if arguments[:1] == ["compose"] and not files:
        raise Wrong("docker compose: no -f, and no compose file in the root")


def _ray(arguments: Sequence[str], is_whole: bool) -> None:
    from ray.scripts.scripts import cli

    if not arguments or arguments[0] not in cli.commands:
        raise Wrong(f"ray: has no command {arguments[:1]}")
    command = cli.commands[arguments[0]]
    try:
        command.make_context(arguments[0], list(arguments[1:]))
    except Exception as error:
        raise Wrong(f"ray {arguments[0]}: {error}") from error


def _pip(arguments: Sequence[str], is_whole: bool) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra in re.findall(r"trapaudit\[([\w,]+)\]", " ".join(arguments)):
        for name in extra.split(","):
            if name not in extras:
                raise Wrong(f"pip: trapaudit has no extra {name}")


def _copied(arguments: Sequence[str], is_whole: bool) -> None:
    _there(arguments[:1], is_whole)


def _there(arguments: Sequence[str], is_whole: bool) -> None:
    for word in arguments:
        if not word.startswith("-") and not (ROOT / word).exists():
            raise Wrong(f"{word}: is not there")
