"""TorchScript: written anew as torch.export by a process without rights, with equal logits; hostile programs do nothing."""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from scd_core.errors import InputError
from scd_core.identify import load_model, pack_model
from scd_core.identify import torchscript as module
from scd_core.identify.packing import pack_gallery
from scd_core.identify.torchscript import converted_script
from scd_core.identify.torchscript_guard import safe_script
from scd_core.masks import fit_masks
from scd_core.masks.settings import SCDConfig
from tests.identify.programs import STATED, changed, pictures, small

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="rights are taken by Linux's own means")


def saved(network: nn.Module, *, scripted: bool = False) -> bytes:
    program = torch.jit.script(network) if scripted else torch.jit.trace(network, (pictures(2),))
    buffer = io.BytesIO()
    torch.jit.save(program, buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return small()


@pytest.fixture(scope="module")
def archive(network: nn.Module) -> bytes:
    return saved(network)


def written(folder: Path, data: bytes) -> Path:
    path = folder / "m.pt"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("scripted", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_torchscript_program_names_and_masks_as_its_network(
    network: nn.Module, tmp_path: Path, scripted: bool
) -> None:
    steps: list[str] = []
    weights = written(tmp_path, saved(network, scripted=scripted))
    pack_model(tmp_path / "p", architecture="torchscript", weights=weights, steps=steps, **STATED)
    assert any("TorchScript, read by a process without rights" in step for step in steps)
    assert not any("not available" in step for step in steps)
    classifier = load_model(str(tmp_path / "p"))
    assert classifier.spec.architecture == "torch-export" and classifier.no_masks is None
    with torch.inference_mode():
        expected = network(pictures(5))
    assert float((expected.amax(0) - expected.amin(0)).max()) > 0.1, "the pictures must differ for the network"
    torch.testing.assert_close(classifier.logits(pictures(5)), expected, atol=1e-4, rtol=0)
    read: list[torch.Tensor] = []
    handle = network.get_submodule("head").register_forward_pre_hook(lambda _module, inputs: read.append(inputs[0]))
    with torch.inference_mode():
        network(pictures(5))
    handle.remove()
    torch.testing.assert_close(classifier.features(pictures(5)), read[0], atol=1e-4, rtol=0)
    settings = SCDConfig(steps=2)
    # Neither has layers, which masks of the network itself begin from.
    traced = torch.jit.trace(network, (pictures(2),))
    own, found = (fit_masks(one, pictures(2), torch.tensor([0, 2]), settings) for one in (traced, classifier.model))
    torch.testing.assert_close(found.joint, own.joint, atol=1e-3, rtol=0)


def test_a_torchscript_program_makes_a_gallery(network: nn.Module, archive: bytes, tmp_path: Path) -> None:
    from PIL import Image

    known: dict[str, list[Path]] = {}
    for number, name in enumerate(("Luna", "Nyx")):
        path = tmp_path / f"{name}.png"
        Image.fromarray((pictures(2)[number].permute(1, 2, 0) * 255).byte().numpy()).save(path)
        known[name] = [path]
    given = {key: value for key, value in STATED.items() if key != "labels"}
    pack_gallery(
        tmp_path / "p", architecture="torchscript", weights=written(tmp_path, archive), pictures=known, embedding="features",
        **given,
    )  # fmt: skip
    found = load_model(str(tmp_path / "p"))
    whole = small()
    whole.head = nn.Identity()
    with torch.inference_mode():
        torch.testing.assert_close(found.features(pictures(3)), whole(pictures(3)), atol=1e-4, rtol=0)


class Mean(nn.Module):
    """A small network, whose code the hostile ones have more lines in."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.mean((2, 3)))


def hostile(*lines: str) -> bytes:
    """A program that runs further lines of TorchScript; those of an export are not touched."""
    data = saved(Mean().eval(), scripted=True)
    added = "".join(f"    {line}\n" for line in lines).encode()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        paths = [one.partition("/")[2] for one in archive.namelist() if b"torch.mean(x" in archive.read(one)]
    path = next(one for one in paths if one.endswith(".py"))
    return changed(
        data, {path: lambda text: text.replace(b"x: Tensor) -> Tensor:\n", b"x: Tensor) -> Tensor:\n" + added)}
    )


def test_a_program_that_writes_a_file_is_refused_and_writes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three times: as it is here, where it writes; by its code; and, were that check wrong, by the process without rights."""
    mark = tmp_path / "mark"
    data = hostile(f'torch.save(x, "{mark}")')
    torch.jit.load(io.BytesIO(data))(pictures(1))
    assert mark.exists(), "the program must write where nothing keeps it from that"
    mark.unlink()
    with pytest.raises(InputError, match=r"uses torch\.save, which is none of PyTorch's own operations on tensors"):
        pack_model(tmp_path / "p", architecture="torchscript", weights=written(tmp_path, data), **STATED)
    assert not (tmp_path / "p").exists()
    monkeypatch.setattr(module, "safe_script", lambda data, _name: data)
    with suppress(InputError):  # whether the rest of it can be written is left open
        converted_script(data, pictures(2), "m.pt")
    assert not mark.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "line", ["while True:\n      _9 = 1", "_9 = torch.zeros([1099511627776])", "_9 = torch.add(_9, x)"]
)
def test_a_program_without_end_or_measure_ends_in_one_line(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "safe_script", lambda data, _name: data)
    with pytest.raises(InputError) as caught:
        converted_script(hostile(line), pictures(2), "m.pt", seconds=2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (('_7 = torch.from_file("/etc/passwd", True, 9)',), r"uses torch\.from_file"),
        (("_7 = torch.save", '_7(x, "f")'), r"uses torch\.save"),
        (("_7 = torch", '_7.forward(x, "f")'), "its code is none that torch.jit.save writes"),
        (('_7 = ops.image.read_file("f")',), r"uses ops\.image\.read_file"),
        (("_7 = ops.prim.rpc_sync(x)",), r"uses ops\.prim\.rpc_sync"),
        (('_7 = open("f")',), "uses open"),
        (('_7 = (x).tofile("f")',), r"uses x\.tofile"),
        (("import os",), "its code is none that torch.jit.save writes"),
        (("this is no code",), "is no code that torch.jit.save writes"),
    ],
)
def test_code_of_other_operations_is_refused(lines: tuple[str, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        safe_script(hostile(*lines), "m.pt")


def test_other_files_pickles_and_sizes_are_refused(archive: bytes, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        code = next(one.partition("/")[2] for one in opened.namelist() if one.endswith(".py"))
    state = "  def __setstate__(self, x: Tensor) -> NoneType:\n    return None\n"
    cases: list[tuple[dict[str, Any], str]] = [
        ({"constants.pkl": pickle.dumps(print)}, "refers to `STACK_GLOBAL`"),
        ({"data.pkl": b"\x80\x02cos\nsystem\n."}, "refers to `os system`"),
        ({"data.pkl": b"no pickle"}, "has no readable data.pkl"),
        ({"data.pkl": None}, "has no readable data.pkl"),
        ({"libevil.so": b"ELF"}, "holds `libevil.so`, which is no code and no tensor"),
        ({code: lambda text: text + state.encode()}, "has a method `__setstate__`, which runs when it is read"),
        ({"data/0": b"\0" * 2**26}, "unpacks to more than torch.jit.save writes"),
    ]
    for files, words in cases:
        data = changed(archive, files, compressed="data/0" in files)
        with pytest.raises(InputError, match=words) as caught:
            safe_script(data, "m.pt")
        assert "\n" not in str(caught.value)
    for data in (archive[:200], b"", b"PK\x03\x04"):
        with pytest.raises(InputError):
            pack_model(tmp_path / "p", architecture="torchscript", weights=written(tmp_path, data), **STATED)


def test_a_process_without_rights_has_none() -> None:
    """Files, folders, connections, processes and threads; what is open can be written to."""
    code = """
import json, os, socket, subprocess, sys, threading
sys.path[:] = json.loads(sys.argv[1])
from scd_core.identify.locked import lock
lock(60, 2**30)
tries = {
    "read": lambda: open("/etc/hostname"), "write": lambda: open(sys.argv[2], "w"), "list": lambda: os.listdir("/"),
    "connect": lambda: socket.socket(), "run": lambda: os.execv("/bin/true", ["true"]),
    "fork": os.fork, "thread": lambda: threading.Thread(target=print).start(), "kill": lambda: os.kill(os.getppid(), 0),
    "move": lambda: os.rename(sys.argv[2], sys.argv[2] + "2"), "mode": lambda: os.chmod("/tmp", 0o777),
}
done = []
for name, act in tries.items():
    try:
        act()
        done.append(name)
    except (PermissionError, RuntimeError):
        pass
os.write(1, f"did {done}".encode())
"""
    found = subprocess.run(
        [sys.executable, "-c", code, json.dumps(sys.path), "/tmp/trapaudit-never"], capture_output=True, check=False
    )
    assert found.stdout.decode() == "did []", found.stderr.decode()[-500:]


def test_a_system_that_cannot_take_rights_refuses(archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    start = (
        "import sys, json; sys.path[:] = json.loads(sys.argv[1]); import platform; platform.machine = lambda: 'other'; "
    )
    warm = "import scd_core.identify.torchscript_child as child; child._warm_up = lambda: None; child.main()"
    monkeypatch.setattr(module, "_START", start + warm)
    with pytest.raises(InputError, match=r"this system cannot keep it from files and the network .* pack it on Linux"):
        converted_script(archive, pictures(2), "m.pt")
