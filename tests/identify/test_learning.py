"""A classifier learns a name: its old names stay, its parent stays, and what cannot work is refused in one line."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from deployments.cli.model import model_app
from scd_core.errors import InputError
from scd_core.identify import load_model, read_package
from scd_core.identify.child import head_of, with_head, write_child
from scd_core.identify.class_means import Head
from scd_core.identify.learning import KnownPictures, fit_known, learn_name
from scd_core.scenes import packaged_model, preset_world, render, sample_specs

Pictures = dict[str, list[Path]]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    """Six frames of scenes of each individual of the demo, in a folder each."""
    folder, world = tmp_path_factory.mktemp("known"), preset_world("demo")
    found: Pictures = {}
    for number, spec in enumerate(sample_specs(world, "audit", 160, 11)):
        name = spec.individual_id
        if name is not None and len(found.setdefault(name, [])) < 6:
            found[name].append(folder / name / f"{number}.png")
            found[name][-1].parent.mkdir(exist_ok=True)
            Image.fromarray(render(world, spec).image).save(found[name][-1])
    assert len(found) == 8 and min(map(len, found.values())) == 6
    return found


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's classifier without the row of its last individual, which it then does not know."""
    whole = read_package(str(packaged_model("clean")))
    layer, head = head_of(whole)
    weights = with_head(whole, layer, Head(head.weight[:-1].copy(), head.bias[:-1].copy()))
    spec = whole.spec.model_copy(
        update={
            "labels": whole.spec.labels[:-1],
            "weights": "weights.safetensors",
            "weights_sha256": sha256(weights).hexdigest(),
        }
    )
    folder = tmp_path_factory.mktemp("parent") / "model"
    write_child(str(folder), spec, {spec.weights: weights})
    return folder


def _features(package: Path, pictures: Pictures, part: slice) -> tuple[np.ndarray, list[str]]:
    classifier = load_model(str(package))
    rows, names = [], []
    for name, files in pictures.items():
        for file in files[part]:
            rows.append(classifier.features(classifier.preprocess(Image.open(file))[None]).numpy())
            names.append(name)
    return np.concatenate(rows), names


def _without(pictures: Pictures, *names: str) -> Pictures:
    return {name: files for name, files in pictures.items() if name not in names}


def _run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(model_app, [str(argument) for argument in arguments])
    words = done.output if done.exception is None or isinstance(done.exception, SystemExit) else str(done.exception)
    return done.exit_code, " ".join(words.split())


def test_a_name_is_learnt_and_the_parent_stays(parent: Path, pictures: Pictures, tmp_path: Path) -> None:
    digest, new = read_package(str(parent)).digest, packaged_model_name()
    known = _known_folder(tmp_path / "known", _without(pictures, new))
    code, words = _run("add-individual", parent, new, *pictures[new][:4], "--write", tmp_path / "new", "--known", known)
    assert code == 0, words
    assert f"8 individuals, {new} from 4 pictures" in words
    package = read_package(str(tmp_path / "new"))
    assert read_package(str(parent)).digest == digest != package.digest
    assert package.spec.provenance is not None and package.spec.provenance["parent_digest"] == digest
    assert package.spec.provenance["added"] == {"individual": new, "n_pictures": 4}
    assert package.spec.embedding_space == read_package(str(parent)).spec.embedding_space
    features, names = _features(tmp_path / "new", pictures, slice(4, 6))

    def right(model: Path) -> set[int]:
        labels, scores = read_package(str(model)).spec.labels, head_of(read_package(str(model)))[1].scores(features)
        return {number for number, best in enumerate(scores.argmax(1).tolist()) if labels[best] == names[number]}

    olds = {number for number, name in enumerate(names) if name != new}
    assert len(right(tmp_path / "new") & olds) >= len(right(parent)) - 1
    assert right(tmp_path / "new") - olds
    assert set(package.spec.labels) == {*read_package(str(parent)).spec.labels, new}
    # The next addition needs no old picture; and the grandparent is known.
    code, words = _run("add-individual", tmp_path / "new", new, pictures[new][4], "--write", tmp_path / "next")
    assert code == 0, words
    following = read_package(str(tmp_path / "next"))
    assert following.spec.labels == package.spec.labels
    assert following.spec.provenance is not None
    assert following.spec.provenance["parent_provenance"]["parent_digest"] == digest
    means = following.read_class_means()
    assert means is not None and means.counts[following.spec.labels.index(new)] == 5


def packaged_model_name() -> str:
    """The individual that the parent does not know."""
    return read_package(str(packaged_model("clean"))).spec.labels[-1]


def _known_folder(folder: Path, pictures: Pictures) -> Path:
    for name, files in pictures.items():
        (folder / name).mkdir(parents=True)
        for file in files[:4]:
            (folder / name / file.name).symlink_to(file)
    return folder


def test_the_head_is_made_of_means_only_where_they_name_no_fewer(parent: Path, pictures: Pictures) -> None:
    new, package = packaged_model_name(), read_package(str(parent))
    features, names = _features(parent, _without(pictures, new), slice(0, 6))
    events = [str(number) for number in range(len(names))]
    head = head_of(package)[1]
    wrong = Head(head.weight[::-1].copy(), head.bias[::-1].copy())
    assert fit_known(package, wrong, KnownPictures(features, names, events))[0].is_aligned
    # Noise, but for one number by which a head is always right and means are not, since the noise hides it.
    noise = np.random.default_rng(0).normal(0, 3, (len(names), 60)).astype(np.float32)
    noise[:, -1] = [package.spec.labels.index(name) for name in names]
    perfect = Head(np.zeros((7, 60), np.float32), (-0.5 * np.arange(7) ** 2).astype(np.float32))
    perfect.weight[:, -1] = np.arange(7)
    assert (np.array(package.spec.labels)[perfect.scores(noise).argmax(1)] == names).all()
    assert not fit_known(package, perfect, KnownPictures(noise, names, events))[0].is_aligned
    places = [place for place, name in enumerate(names) if name != names[0]]
    rest = KnownPictures(features[places], [names[place] for place in places], [events[place] for place in places])
    assert not fit_known(package, wrong, rest)[0].is_aligned, "a name without pictures keeps its row"


@pytest.mark.parametrize("is_named", [True, False])
def test_trained_rows_stay_where_they_are_better(
    parent: Path, pictures: Pictures, tmp_path: Path, is_named: bool
) -> None:
    """One name has no picture, so the head cannot be made of means; its row and all others stay to the last bit."""
    new, package = packaged_model_name(), read_package(str(parent))
    first = package.spec.labels[0]
    features, names = _features(parent, _without(pictures, new, first), slice(0, 6))
    known = KnownPictures(features, names, [str(number) for number in range(len(names))])
    found, _ = _features(parent, {new: pictures[new]}, slice(0, 4))
    done = learn_name(package, new, found, known, str(tmp_path / "new"))
    assert not done.is_aligned and done.without_pictures == (first,)
    before, after = head_of(package)[1], head_of(done.package)[1]
    assert np.array_equal(after.weight[:-1], before.weight) and np.array_equal(after.bias[:-1], before.bias)
    assert done.package.spec.labels == (*package.spec.labels, new)
    assert done.package.spec.temperature == package.spec.temperature
    assert done.n_named >= 1
    name = new if is_named else first
    if is_named:  # more pictures of an added name move its row alone
        more, _ = _features(parent, {new: pictures[new]}, slice(4, 6))
        again = learn_name(done.package, name, more, None, str(tmp_path / "again"))
        assert np.array_equal(head_of(again.package)[1].weight[:-1], before.weight)
        assert again.package.spec.labels == done.package.spec.labels
    else:
        with pytest.raises(InputError, match="trained with, whose rows stay"):
            learn_name(done.package, name, found, None, str(tmp_path / "again"))


def test_what_cannot_be_learnt_is_one_line_and_writes_nothing(parent: Path, pictures: Pictures, tmp_path: Path) -> None:
    new = packaged_model_name()
    other = next(name for name in pictures if name != new)
    known = _known_folder(tmp_path / "known", _without(pictures, new))
    few = _known_folder(tmp_path / "few", {name: files[:1] for name, files in _without(pictures, new).items()})
    strange = _known_folder(tmp_path / "strange", {"Nobody": pictures[new]})
    (tmp_path / "known2" / other).mkdir(parents=True)
    target = tmp_path / "new"
    for arguments, words in (
        ([new, pictures[new][0]], "give --write NEW"),
        ([new, pictures[new][0], "--write", target], "give --known FOLDER"),
        ([new, pictures[new][0], "--write", parent, "--known", known], "nothing is written over"),
        ([new, pictures[new][0], "--write", target, "--known", few], "7 labelled pictures"),
        ([new, pictures[new][0], "--write", target, "--known", strange], "'Nobody' is none of the names"),
        ([new, pictures[new][0], "--write", target, "--known", tmp_path / "known2"], f"no pictures of {other}"),
        ([new, tmp_path / "none.png", "--write", target, "--known", known], "cannot be read"),
        ([other.upper(), pictures[new][0], "--write", target, "--known", known], "write it the same way"),
        (["unknown", pictures[new][0], "--write", target, "--known", known], "is no name of an individual"),
    ):
        code, found = _run("add-individual", parent, *arguments)
        assert code != 0 and words in found, found
        assert not target.exists()


def test_pictures_of_a_known_individual_under_a_second_name_are_refused(
    parent: Path, pictures: Pictures, tmp_path: Path
) -> None:
    """The same pictures under two names: no picture would get the second one."""
    new = packaged_model_name()
    features, names = _features(parent, _without(pictures, new), slice(0, 6))
    known = KnownPictures(features, names, [str(number) for number in range(len(names))])
    same = features[[place for place, name in enumerate(names) if name == names[0]]]
    with pytest.raises(InputError, match=f"they look like {names[0]}"):
        learn_name(read_package(str(parent)), "Twin", same, known, str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()
