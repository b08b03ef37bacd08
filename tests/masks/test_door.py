"""The door: models of any kind are used as they are meant, or refused in one line before they give nonsense."""

from __future__ import annotations

import copy
import functools
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from scd_core.config import AuditConfig
from scd_core.identify import load_model
from scd_core.identify.architectures import last_linear
from scd_core.masks import Masks, SCDConfig, cf_cam, fido, fit_masks, grad_cam, norm_grad
from scd_core.masks.find_networks import find_networks
from scd_core.masks.forward import activation_bytes
from scd_core.masks.metrics import deletion_insertion
from scd_core.masks.preserve import borrowed
from scd_core.masks.rows import mask_predictions
from scd_core.media import list_source
from scd_core.scenes import packaged_model

TARGETS = torch.tensor([0, 2])
QUICK = SCDConfig(steps=4, mask_size=8)
METHODS: dict[str, Callable[..., Masks]] = {
    "fit_masks": lambda *given: fit_masks(*given, QUICK),
    "grad_cam": grad_cam,
    "norm_grad": norm_grad,
    "norm_grad_selective": lambda *given: norm_grad(*given, selective=True),
    "cf_cam": cf_cam,
    "fido": lambda *given: fido(*given, steps=2, samples=2, mask_size=8),
}
every_method = pytest.mark.parametrize("name", METHODS)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(3))


def network(classes: int = 3) -> nn.Sequential:
    """With batch norm and dropout, so that training mode gives other answers and changes statistics."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes),
    )  # fmt: skip


class Then(nn.Module):
    """A network, and a function of what it gives."""

    def __init__(self, change: Callable[[torch.Tensor], Any], before: Callable[[Any], Any] = lambda images: images):
        super().__init__()
        self.network, self.change, self.before = network(), change, before

    def forward(self, images: torch.Tensor) -> Any:
        return self.change(self.network(self.before(images)))


# --- probabilities ------------------------------------------------------------------------------------------------


class Counted(nn.Module):
    """A network whose answer depends on how often it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.calls = network(), 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        logits: torch.Tensor = self.inner(images)
        return logits + torch.arange(3) * self.calls


@every_method
def test_a_model_that_draws_or_counts_is_refused(name: str, images: torch.Tensor) -> None:
    dropped = Then(lambda logits: logits, lambda images: nn.functional.dropout(images, 0.3, training=True))
    for model in (dropped, Counted()):
        with pytest.raises(ValueError, match=r"expected the same logits each time.*left on"):
            METHODS[name](model, images, TARGETS)


@every_method
@pytest.mark.parametrize("half", [False, True])
def test_a_softmax_at_the_end_is_refused(name: str, half: bool, images: torch.Tensor) -> None:
    model = Then(lambda logits: logits.softmax(1))
    if half:
        model = model.bfloat16()
    with pytest.raises(ValueError, match="pass logits"):
        METHODS[name](model, images, TARGETS)


@every_method
def test_a_sigmoid_at_the_end_is_refused(name: str, images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"as of a sigmoid.*pass logits"):
        METHODS[name](Then(torch.sigmoid), images, TARGETS)


def test_metrics_refuse_probabilities_as_well(images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="pass logits"):
        deletion_insertion(Then(lambda logits: logits.softmax(1)), images, TARGETS, torch.rand(2, 24, 24))


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_softmax_that_autograd_cannot_see_is_refused(images: torch.Tensor) -> None:
    hidden = torch.jit.trace(Then(lambda logits: logits.softmax(1)).eval(), images, check_trace=False)
    with pytest.raises(ValueError, match="pass logits"):
        fit_masks(hidden, images, TARGETS, QUICK)


def test_logits_that_happen_to_lie_between_0_and_1_are_taken(images: torch.Tensor) -> None:
    masks = fit_masks(Then(lambda logits: logits.tanh() / 8 + 0.5), images, TARGETS, QUICK)
    assert masks.joint.amax((1, 2)).min() > 0


def test_a_log_softmax_gives_the_masks_of_the_logits(images: torch.Tensor) -> None:
    plain = fit_masks(Then(lambda logits: logits), images, TARGETS, QUICK)
    found = fit_masks(Then(lambda logits: logits.log_softmax(1)), images, TARGETS, QUICK)
    torch.testing.assert_close(found.joint, plain.joint, rtol=0, atol=1e-3)


# --- no gradient --------------------------------------------------------------------------------------------------


class HalfBlind(nn.Module):
    """Sees pictures of which the first pixel is not above 5; the logits of others are fixed."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network()
        self.features = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        # The mean of the frame survives every blend: infills are blurred copies.
        is_seen = (images.mean((1, 2, 3)) < 5)[:, None]
        return torch.where(is_seen, self.network(images), torch.tensor([1.0, 2.0, -3.0]))


@every_method
def test_a_gradient_of_zero_is_a_failure_of_its_image_alone(name: str, images: torch.Tensor) -> None:
    images[1] += 10
    masks = METHODS[name](HalfBlind(), images, TARGETS) if name != "fit_masks" else fit_masks(
        HalfBlind(), images, TARGETS, QUICK, on_error="record"
    )  # fmt: skip
    assert list(masks.failures) == [1] and "image 1" in masks.failures[1] and "gradient of zero" in masks.failures[1]
    assert not masks.converged[1] and masks.joint[1].abs().max() == 0
    assert masks.ssr_probability[1].isnan() and masks.sdr_probability[1].isnan()
    assert masks.ssr_probability[0].isfinite() and masks.joint[0].max() > 0


def test_a_gradient_that_rounds_away_beside_the_cost_is_a_failure(images: torch.Tensor) -> None:
    faint = Then(lambda logits: torch.tensor([30.0, 0.0, 1.0]) + 1e-12 * logits)
    with pytest.raises(ValueError, match=r"image 0.*gradient of zero"):
        fit_masks(faint, images, TARGETS, QUICK)


def test_a_picture_that_equals_its_infill_is_a_failure() -> None:
    with pytest.raises(ValueError, match="equal to its infill"):
        fit_masks(network(), torch.full((1, 3, 24, 24), 0.3), torch.tensor([0]), QUICK)


def test_logits_that_depend_on_parameters_alone_are_refused(images: torch.Tensor) -> None:
    weight = torch.zeros(3, requires_grad=True)
    with pytest.raises(ValueError, match="differentiable"):
        fit_masks(lambda given: weight.expand(len(given), 3) + 0, images, TARGETS, QUICK)


def test_a_gradient_that_is_not_finite_is_a_failure(images: torch.Tensor) -> None:
    root = Then(lambda logits: (logits * 0).sqrt() + logits)
    with pytest.raises(ValueError, match=r"image 0.*gradients"):
        fit_masks(root, images, TARGETS, QUICK)


def test_the_table_has_a_failed_row_with_its_reason_where_nothing_moves_the_score(tmp_path: Path) -> None:
    classifier = load_model(str(packaged_model("clean")))
    nn.init.zeros_(classifier.model.get_submodule(str(last_linear(classifier.model))).weight)
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    (listed,) = list_source(str(tmp_path), AuditConfig().media).objects
    media = {
        name: getattr(listed, name) for name in ("media_id", "file", "uri", "etag", "size_bytes", "version_id")
    } | {"width": 160, "height": 120}
    row = {"target_id": listed.media_id, "media_id": listed.media_id, "detection_id": None, "event_id": None}
    row |= {"topk": [{"individual_id": classifier.names[0], "probability": 0.5}]}
    row |= dict.fromkeys(("bbox_x_min", "bbox_y_min", "bbox_width", "bbox_height"))
    (found,) = mask_predictions([row], {listed.media_id: media}, classifier, str(tmp_path), AuditConfig())
    assert found["mask_status"] == "failed" and "gradient of zero" in str(found["failure_reason"])
    assert found.get("is_converged") is None and found.get("mask_png") is None


# --- a first operation in place -------------------------------------------------------------------------------------


def in_place(images: torch.Tensor) -> torch.Tensor:
    return images.sub_(0.5)


@every_method
def test_a_first_operation_in_place_changes_neither_images_nor_masks(name: str, images: torch.Tensor) -> None:
    # Channels-last as well: where no copy into that layout is made, the model gets what it was given.
    for given in (images, images.contiguous(memory_format=torch.channels_last)):
        kept = given.clone()
        found = METHODS[name](Then(lambda logits: logits, in_place), given, TARGETS)
        plain = METHODS[name](Then(lambda logits: logits, lambda images: images - 0.5), given, TARGETS)
        assert torch.equal(given, kept)
        torch.testing.assert_close(found.joint, plain.joint)


def test_memory_is_measured_of_a_model_that_begins_in_place() -> None:
    assert activation_bytes(Then(lambda logits: logits, in_place), torch.zeros(1, 3, 24, 24)) > 0


# --- callables over a network in training mode ----------------------------------------------------------------------

MODEL: nn.Module | None = None
"""What a lambda of a notebook names."""


class Holder:
    """An object that is no module and has one."""

    __slots__ = ("inner",)

    def __init__(self, inner: nn.Module) -> None:
        self.inner = inner

    def predict(self, images: torch.Tensor) -> torch.Tensor:
        return self.inner(images)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return self.inner(images)


def callables(model: nn.Module) -> dict[str, Callable[[torch.Tensor], torch.Tensor]]:
    def default(images: torch.Tensor, inner: Any = model) -> torch.Tensor:
        return inner(images)

    def nested(images: torch.Tensor) -> torch.Tensor:
        def inner() -> torch.Tensor:
            return model(images)

        return inner()

    @functools.wraps(model.forward)
    @torch.enable_grad()
    def decorated(images: torch.Tensor) -> torch.Tensor:
        return model(images)

    parts = {"model": [model]}
    return {
        "closure": lambda images: model(images),
        "global": lambda images: MODEL(images),  # type: ignore[misc]
        "default": default,
        "nested": nested,
        "decorated": decorated,
        "partial": functools.partial(lambda inner, images: inner(images), model),
        "bound": Holder(model).predict,
        "forward": model.forward,
        "object": Holder(model),
        "in a dict": lambda images: parts["model"][0](images),
        "compiled": torch.compile(lambda images: model(images), backend="eager"),
    }


@pytest.mark.parametrize("kind", callables(network()))
def test_a_callable_over_a_network_in_training_mode_leaves_it_as_it_was(
    kind: str, images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network().train()
    monkeypatch.setitem(globals(), "MODEL", model)
    before = copy.deepcopy(model.state_dict())
    found = fit_masks(callables(model)[kind], images, TARGETS, SCDConfig(steps=3, mask_size=8))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    plain = fit_masks(model, images, TARGETS, SCDConfig(steps=3, mask_size=8))
    torch.testing.assert_close(found.joint, plain.joint)


def test_networks_are_found_whole_and_once() -> None:
    model, other = network(), network()
    assert find_networks(lambda images: model(images) + other(model[0](images))) == [model, other]
    assert find_networks(lambda images: images.mean((2, 3))) == []


def test_a_network_in_training_mode_that_cannot_be_found_is_refused_before_it_runs(images: torch.Tensor) -> None:
    model = network().train()
    before = copy.deepcopy(model.state_dict())
    weak = iter([model] * 1000)  # what an iterator will give cannot be looked into
    with pytest.raises(ValueError, match=r"training mode.*\.eval\(\)"):
        fit_masks(lambda given: next(weak)(given), images, TARGETS, QUICK)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert len(torch.nn.modules.module._global_forward_pre_hooks) == 0


def test_modules_without_state_may_be_made_on_the_way(images: torch.Tensor) -> None:
    model = network().eval()
    weak = iter([model] * 1000)
    masks = fit_masks(lambda given: nn.Identity()(next(weak)(nn.ReLU()(given))), images, TARGETS, QUICK)
    assert not masks.failures


# --- number types and where parameters are --------------------------------------------------------------------------


@every_method
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_modules_work(name: str, dtype: torch.dtype, images: torch.Tensor) -> None:
    model = network().to(dtype)
    found = METHODS[name](model, images, TARGETS)
    whole = METHODS[name](network(), images, TARGETS)
    assert found.joint.dtype == torch.float32 and found.joint.isfinite().all() and not found.failures
    assert (found.joint - whole.joint).abs().mean() < 0.05
    assert next(model.parameters()).dtype == dtype


@every_method
def test_modules_made_under_inference_mode_are_refused(name: str, images: torch.Tensor) -> None:
    with torch.inference_mode():
        model = network()
    with pytest.raises(ValueError, match=r"0\.weight was made under torch.inference_mode.*deepcopy"):
        METHODS[name](model, images, TARGETS)
    assert not METHODS[name](copy.deepcopy(model), images, TARGETS).failures


@every_method
def test_modules_without_values_are_refused(name: str, images: torch.Tensor) -> None:
    with torch.device("meta"):
        model = network()
    with pytest.raises(ValueError, match=r"0\.weight is on the device `meta`"):
        METHODS[name](model, images, TARGETS)


@every_method
def test_modules_without_shapes_are_refused(name: str, images: torch.Tensor) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(3))
    with pytest.raises(ValueError, match=r"1\.weight has no shape yet"):
        METHODS[name](model, images, TARGETS)


# --- what a model gives ---------------------------------------------------------------------------------------------

Output = namedtuple("Output", ["logits", "hidden"])


@every_method
@pytest.mark.parametrize("kind", ["dict", "attribute", "namedtuple", "mapping with both"])
def test_logits_of_outputs_are_taken(name: str, kind: str, images: torch.Tensor) -> None:
    class Both(OrderedDict):
        """As transformers' outputs: a mapping that has attributes as well."""

        def __getattr__(self, key: str) -> Any:
            return self[key]

    wrap: dict[str, Callable[[torch.Tensor], Any]] = {
        "dict": lambda logits: {"logits": logits, "hidden": None},
        "attribute": lambda logits: type("Plain", (), {"logits": logits})(),
        "namedtuple": lambda logits: Output(logits, None),
        "mapping with both": lambda logits: Both(loss=None, logits=logits),
    }
    found = METHODS[name](Then(wrap[kind]), images, TARGETS)
    torch.testing.assert_close(found.joint, METHODS[name](Then(lambda logits: logits), images, TARGETS).joint)


@every_method
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda logits: (logits, None), r"expected logits \(1, K\) for 1 images?, got tuple"),
        (lambda logits: {"out": logits}, "got dict"),
        (lambda logits: logits.to(torch.complex64), "real floats, got torch.complex64"),
        (lambda logits: logits.round().long(), "real floats, got torch.int64"),
        (lambda logits: logits[:, :1], "K = 1"),
        (lambda logits: logits.to("meta"), "device `meta`"),
        (lambda logits: logits.repeat(2, 1), "expected logits"),
        (lambda logits: logits[None], "expected logits"),
        (lambda logits: None, "got NoneType"),
    ],
)
def test_what_are_no_logits_is_refused_in_one_line(
    name: str, change: Callable[[torch.Tensor], Any], message: str, images: torch.Tensor
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        METHODS[name](Then(change), images, TARGETS)
    assert "\n" not in str(caught.value)


def masked(logits: torch.Tensor) -> torch.Tensor:
    """Class 1 is left out."""
    return logits.masked_fill(torch.tensor([False, True, False]), -torch.inf)


@every_method
def test_classes_with_a_logit_of_minus_infinity_have_no_part(name: str, images: torch.Tensor) -> None:
    model = Then(masked)
    two = Then(lambda logits: logits[:, [0, 2]])
    found = METHODS[name](model, images, TARGETS)
    assert not found.failures and found.ssr_probability.isfinite().all()
    if name != "norm_grad_selective":  # whose step goes through the softmax of all classes
        expected = METHODS[name](two, images, torch.tensor([0, 1]))
        torch.testing.assert_close(found.joint, expected.joint, rtol=0, atol=1e-4)


def test_a_target_with_a_logit_of_minus_infinity_is_refused(images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="image 1: expected finite logits of the target"):
        fit_masks(Then(masked), images, torch.tensor([0, 1]), QUICK)
    with pytest.raises(ValueError, match="image 0: expected finite logits of the target and of another class"):
        fit_masks(Then(lambda logits: masked(logits)[:, :2]), images, torch.tensor([0, 0]), QUICK)


# --- modules of other kinds -----------------------------------------------------------------------------------------


@every_method
def test_frozen_parameters_change_nothing(name: str, images: torch.Tensor) -> None:
    frozen = network().requires_grad_(False)
    torch.testing.assert_close(
        METHODS[name](frozen, images, TARGETS).joint, METHODS[name](network(), images, TARGETS).joint
    )
    assert not any(parameter.requires_grad for parameter in frozen.parameters())


@every_method
def test_backward_hooks_run_and_stay(name: str, images: torch.Tensor) -> None:
    model, calls = network(), []
    model[8].register_full_backward_hook(lambda *given: calls.append(1))
    found = METHODS[name](model, images, TARGETS)
    torch.testing.assert_close(found.joint, METHODS[name](network(), images, TARGETS).joint)
    assert len(model[8]._backward_hooks) == 1 and calls


@every_method
def test_compiled_modules_work(name: str, images: torch.Tensor) -> None:
    model = torch.compile(network(), backend="eager")
    fit_masks(model, images, TARGETS, QUICK)  # traced before any layer is hooked
    found = METHODS[name](model, images, TARGETS)
    torch.testing.assert_close(found.joint, METHODS[name](network(), images, TARGETS).joint, rtol=0, atol=1e-4)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", ["script", "trace"])
def test_torchscript_modules_have_masks_and_no_layers(kind: str, images: torch.Tensor) -> None:
    made = network().eval()
    model = torch.jit.script(made) if kind == "script" else torch.jit.trace(made, images)
    masks = fit_masks(model, images, TARGETS, QUICK)
    torch.testing.assert_close(masks.joint, fit_masks(made, images, TARGETS, QUICK).joint, rtol=0, atol=1e-3)
    with pytest.raises(ValueError, match="TorchScript module hides its layers"):
        grad_cam(model, images, TARGETS)


@pytest.mark.parametrize("name", ["grad_cam", "norm_grad", "cf_cam"])
def test_methods_of_layers_ask_for_the_module(name: str, images: torch.Tensor) -> None:
    model = network()
    with pytest.raises(ValueError, match=r"expected a torch.nn.Module.*got function"):
        METHODS[name](lambda given: model(given), images, TARGETS)


def test_statistics_in_buffers_of_a_callable_are_put_back() -> None:
    model = network().train()
    with borrowed(lambda images: model(images)):
        model[1].running_mean.add_(1)
    assert model[1].running_mean.abs().max() == 0
