"""fit_masks: the formula, the checks, independence of the batch, bounded work, and the model given back."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from scd_core.masks import Masks, fit_masks
from scd_core.masks.forward import Forward, activation_bytes
from scd_core.masks.infill import blur
from scd_core.masks.noise import uniform_field
from scd_core.masks.settings import SCDConfig

QUICK = SCDConfig(steps=6, mask_size=8, tolerance=0.0)


class Patches(nn.Module):
    """Class c is seen in corner c of the frame, a sixteenth of it: the cause of each answer is known."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        height, width = images.shape[-2] // 4, images.shape[-1] // 4
        energy = images.square().mean(1)
        corners = [energy[:, y, x].mean((1, 2)) for y in _ends(height) for x in _ends(width)]
        return 20 * torch.stack(corners, 1)


def _ends(size: int) -> tuple[slice, slice]:
    return slice(0, size), slice(-size, None)


def _textured(quadrant: int, size: int = 32, seed: int = 0) -> torch.Tensor:
    noise = torch.randn(3, size, size, generator=torch.Generator().manual_seed(seed))
    image = 0.05 * noise
    half = size // 2
    y, x = divmod(quadrant, 2)
    image[:, y * half : (y + 1) * half, x * half : (x + 1) * half] = noise[:, :half, :half]
    return image


@pytest.fixture
def images() -> torch.Tensor:
    return torch.stack([_textured(quadrant, seed=quadrant) for quadrant in range(4)])


TARGETS = torch.arange(4)


def _convnet(classes: int = 4, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.5), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, classes),
    )  # fmt: skip


# --- what a mask is -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_default_finds_the_corner_that_decides(images: torch.Tensor, seed: int) -> None:
    masks = fit_masks(Patches(), images, TARGETS, SCDConfig(mask_size=16), torch.full((4,), seed))
    for quadrant in range(4):
        y, x = divmod(quadrant, 2)
        inside = masks.joint[quadrant, y * 16 : (y + 1) * 16, x * 16 : (x + 1) * 16].sum()
        assert inside / masks.joint[quadrant].sum() > 0.8
    assert (masks.ssr_probability > 0.99).all()
    assert (masks.sdr_probability < 0.95).all()  # the whole image has 1.0
    assert (masks.area < 0.3).all()
    assert (masks.evaluations <= 3 + 4 * masks.iterations).all()
    torch.testing.assert_close(masks.joint, (masks.sufficient * masks.destroying).sqrt())
    assert masks.joint.dtype == torch.float32 and masks.joint.min() >= 0 and masks.joint.max() <= 1


def test_one_step_is_the_formula() -> None:
    """One step in float64 against the loss written out with autograd, at full resolution with independent samples."""
    model = _convnet().double().eval()
    image = torch.randn(1, 3, 12, 10, dtype=torch.float64)
    config = SCDConfig.reference().model_copy(update={"steps": 1, "samples": 3})
    masks = fit_masks(model, image, torch.tensor([2]), config, torch.tensor([5]))

    infill = blur(image, 10 * 10 / 224)
    k = torch.zeros(2, 12, 10, dtype=torch.float64, requires_grad=True)
    u = uniform_field(torch.tensor([5]), torch.tensor([0]), (3, 2, 12, 10))[0].double()
    z = torch.sigmoid(k + torch.logit(u))
    score = []
    for keep in (z[:, 0], 1 - z[:, 1]):
        p = model(keep[:, None] * image + (1 - keep[:, None]) * infill).softmax(1)[:, 2]
        score.append((p / (1 - p)).log().mean())
    p = k.sigmoid()
    variation = p.diff(dim=1).abs().sum() + p.diff(dim=2).abs().sum()
    loss = score[1] - score[0] + 0.2 * (1e-3 * p.sum() + 1e-2 * variation)
    loss.backward()
    expected = nn.Parameter(torch.zeros_like(k))
    expected.grad = k.grad
    torch.optim.AdamW([expected], lr=10, eps=0.1).step()
    torch.testing.assert_close(masks.sufficient[0], expected[0].sigmoid().float().detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(masks.destroying[0], expected[1].sigmoid().float().detach(), rtol=1e-5, atol=1e-6)
    assert masks.evaluations.tolist() == [1 + 2 * 3 + 2]


def test_steps_follow_torch_adamw() -> None:
    from scd_core.masks.adamw import RowAdamW

    config = SCDConfig.reference()
    rows, twin = torch.randn(2, 5), nn.Parameter(torch.zeros(2, 5))
    twin.data = rows.clone()
    ours, theirs = RowAdamW.for_rows(rows), torch.optim.AdamW([twin], lr=10, eps=0.1)
    for step in range(4):
        gradient = torch.randn(2, 5)
        ours.update(rows, gradient, torch.full((2,), step), config)
        twin.grad = gradient
        theirs.step()
    torch.testing.assert_close(rows, twin.data, rtol=1e-4, atol=1e-4)


def test_reference_is_the_published_setting() -> None:
    config = SCDConfig.reference()
    assert (config.samples, config.steps, config.learning_rate, config.eps, config.mask_size) == (8, 100, 10, 0.1, None)
    assert (config.area_weight, config.variation_weight, config.ramp_steps, config.temperature) == (1e-3, 1e-2, 5, 1)
    assert not config.antithetic and config.pixel_unit == "image" and config.score_unit == "log_odds"
    assert 10 * 2 * SCDConfig().samples * SCDConfig().steps <= 2 * config.samples * config.steps


def test_quality_does_not_move_with_mask_resolution(images: torch.Tensor) -> None:
    areas, energies = [], []
    for size in (8, 16, 32):
        masks = fit_masks(Patches(), images[:1], TARGETS[:1], SCDConfig(mask_size=size, steps=20, tolerance=0.0))
        areas.append(masks.area.item())
        energies.append((masks.joint[0, :16, :16].sum() / masks.joint[0].sum()).item())
    assert max(areas) < 1.6 * min(areas)
    assert min(energies) > 0.8


def test_upsampling_the_logits_is_a_switch(images: torch.Tensor) -> None:
    first = fit_masks(Patches(), images, TARGETS, QUICK)
    last = fit_masks(Patches(), images, TARGETS, QUICK.model_copy(update={"sample_first": False}))
    assert not torch.allclose(first.joint, last.joint, atol=1e-3)
    assert (last.joint[0, :16, :16].mean() > last.joint[0, 16:, 16:].mean()).item()


def test_contrast_is_evidence_for_the_target_against_the_rival() -> None:
    image = torch.maximum(_textured(0), _textured(3))[None]
    against = fit_masks(Patches(), image, torch.tensor([0]), SCDConfig(mask_size=8), contrast=torch.tensor([3]))
    joint = against.joint[0]
    assert joint[:16, :16].mean() > 3 * joint[16:, 16:].mean()
    other = fit_masks(Patches(), image, torch.tensor([0]), SCDConfig(mask_size=8), contrast=torch.tensor([1]))
    assert not torch.allclose(joint, other.joint[0], atol=1e-3)


@pytest.mark.parametrize("infill", ["blur", "mean", "noise", "local_mean", "background"])
def test_infills(images: torch.Tensor, infill: str) -> None:
    config = SCDConfig(mask_size=8, steps=4, infill=infill)  # type: ignore[arg-type]
    backgrounds = torch.zeros(1, 3, 32, 32) if infill == "background" else None
    masks = fit_masks(_convnet(), images, TARGETS, config, backgrounds=backgrounds)
    assert masks.joint.isfinite().all() and not masks.failures


def test_original_form_runs(images: torch.Tensor) -> None:
    config = QUICK.model_copy(update={"form": "original", "temperature": 0.1})
    assert fit_masks(Patches(), images, TARGETS, config).joint.isfinite().all()


def test_result_depends_on_the_seed_and_repeats(images: torch.Tensor) -> None:
    first, again, other = (fit_masks(Patches(), images, TARGETS, QUICK, torch.full((4,), seed)) for seed in (1, 1, 2))
    assert torch.equal(first.joint, again.joint)
    assert not torch.equal(first.joint, other.joint)


def test_global_random_state_is_left_alone(images: torch.Tensor) -> None:
    state = torch.get_rng_state()
    fit_masks(Patches(), images, TARGETS, QUICK)
    assert torch.equal(state, torch.get_rng_state())


# --- many images --------------------------------------------------------------------------------------------------


@pytest.fixture
def images_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several images in one pass, as on a GPU; on a CPU they are kept apart."""
    from scd_core.masks.engine import _Fitting

    monkeypatch.setattr(_Fitting, "is_apart", False)


@pytest.mark.usefixtures("images_meet")
@pytest.mark.parametrize("limit", [1, 4, 9, 64])
def test_batch_independence_where_images_share_a_pass(limit: int) -> None:
    model = _convnet()
    images = torch.randn(7, 3, 24, 36, generator=torch.Generator().manual_seed(3))
    targets, seeds = torch.arange(7) % 4, torch.arange(7) + 10
    config = SCDConfig(mask_size=6, max_samples_per_forward=limit)
    together = fit_masks(model, images, targets, config, seeds)
    assert together.joint.shape == (7, 24, 36)
    for index in (0, 4, 6):
        pick = slice(index, index + 1)
        alone = fit_masks(model, images[pick], targets[pick], SCDConfig(mask_size=6), seeds[pick])
        torch.testing.assert_close(alone.joint[0], together.joint[index], rtol=0, atol=1e-4)
        assert alone.iterations[0] == together.iterations[index]


@pytest.mark.parametrize("name", ["cnn", "vit"])
def test_a_mask_is_the_same_to_the_last_bit_whatever_shares_its_call(name: str) -> None:
    """Guards against rounding: images of a batch of another size differ by 1e-7, and their masks by as much as .007."""
    torch.manual_seed(1)
    if name == "vit":
        model: nn.Module = torchvision.models.VisionTransformer(
            48, 12, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64, num_classes=5
        )
        nn.init.normal_(model.heads[0].weight)  # torchvision starts the head at zero, and all logits with it
        size = (48, 48)
    else:
        model, size = _convnet(), (40, 56)
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(6, 3, *size, generator=generator) * torch.linspace(0.2, 3, 6)[:, None, None, None]
    targets, seeds = torch.arange(6) % 4, torch.arange(6) + 10
    config = SCDConfig(tolerance=1e-3)
    together = fit_masks(model, images, targets, config, seeds)
    assert name == "vit" or len(set(together.iterations.tolist())) > 1, "fixture: images leave at different steps"
    order = torch.tensor([4, 0, 2])
    among = fit_masks(model, images[order], targets[order], config, seeds[order])
    assert torch.equal(among.joint, together.joint[order])
    for index in range(6):
        pick = slice(index, index + 1)
        alone = fit_masks(model, images[pick], targets[pick], config, seeds[pick])
        assert torch.equal(alone.joint[0], together.joint[index])
        assert torch.equal(alone.sufficient[0], together.sufficient[index])
        assert alone.iterations[0] == together.iterations[index]
        assert alone.ssr_probability[0] == together.ssr_probability[index]


class Counting(nn.Module):
    """Counts the images it is given, and the most at once."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.images, self.most = model, 0, 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.images += len(images)
        self.most = max(self.most, len(images))
        return self.model(images)


@pytest.mark.parametrize(("limit", "apart", "most"), [(10, False, 10), (3, False, 3), (10, True, 4), (3, True, 3)])
def test_no_pass_exceeds_the_limit_and_every_image_is_counted(
    images: torch.Tensor, limit: int, apart: bool, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scd_core.masks.engine import _Fitting

    monkeypatch.setattr(_Fitting, "is_apart", apart)
    model = Counting(Patches())
    masks = fit_masks(
        model, images.repeat(5, 1, 1, 1), TARGETS.repeat(5), SCDConfig(mask_size=8, max_samples_per_forward=limit)
    )
    assert model.most == most
    # The first pass is run twice, to see that it gives the same.
    assert model.images == masks.evaluations.sum().item() + (1 if apart else min(limit, 10))
    assert (masks.iterations > 0).all() and (masks.joint.amax((1, 2)) > 0).all()


def test_converged_images_leave(images: torch.Tensor) -> None:
    eager = fit_masks(Patches(), images, TARGETS, SCDConfig(mask_size=8, steps=60, tolerance=0.01))
    assert eager.converged.all() and (eager.iterations < 60).all()
    never = fit_masks(Patches(), images, TARGETS, SCDConfig(mask_size=8, steps=10, tolerance=0.0))
    assert not never.converged.any() and (never.iterations == 10).all()


@pytest.mark.usefixtures("images_meet")
def test_working_set_does_not_grow_with_the_number_of_images(
    images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scd_core.masks.engine import _Fitting

    widths: list[tuple[int, ...]] = []
    step = _Fitting._step
    monkeypatch.setattr(_Fitting, "_step", lambda self, rows: widths.append(tuple(rows.index)) or step(self, rows))
    config = SCDConfig(mask_size=8, max_samples_per_forward=8, tolerance=0.002, steps=60, check_every=1)
    masks = fit_masks(Patches(), images.repeat(2, 1, 1, 1), torch.cat((TARGETS, TARGETS.roll(1))), config)
    assert max(len(index) for index in widths) == 2
    assert len(set(masks.iterations.tolist())) > 1
    # An image joins another that is half-way, and no step is taken for an image that has left.
    assert sum(len(index) for index in widths) == masks.iterations.sum().item()


class Stingy(nn.Module):
    """Runs out of memory beyond a number of images."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.model, self.most, self.refused = Patches(), most, 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > self.most:
            self.refused += 1
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.model(images)


@pytest.mark.usefixtures("images_meet")
def test_out_of_memory_halves_the_pass(images: torch.Tensor) -> None:
    model = Stingy(3)
    config = QUICK.model_copy(update={"max_samples_per_forward": 16})
    masks = fit_masks(model, images, TARGETS, config)
    torch.testing.assert_close(masks.joint, fit_masks(Patches(), images, TARGETS, config).joint, rtol=0, atol=1e-4)
    assert 0 < model.refused < 6
    with pytest.raises(torch.OutOfMemoryError):
        fit_masks(Stingy(0), images, TARGETS, config)


def test_limit_is_measured() -> None:
    small = activation_bytes(_convnet(), torch.zeros(1, 3, 32, 32))
    large = activation_bytes(_convnet(), torch.zeros(1, 3, 64, 64))
    assert small > 0 and 3 * small < large < 5 * small
    forward = Forward(_convnet(), SCDConfig(), torch.device("cpu"), torch.float32, (32, 32), 1)
    assert forward.limit >= 4


def test_a_machine_without_compiler_goes_on(images: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(model: nn.Module) -> nn.Module:
        return Stubborn()

    class Stubborn(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", broken)
    config = QUICK.model_copy(update={"compile": "always"})
    assert torch.equal(
        fit_masks(Patches(), images, TARGETS, config).joint, fit_masks(Patches(), images, TARGETS, QUICK).joint
    )


def test_bfloat16_changes_little(images: torch.Tensor) -> None:
    half = fit_masks(_convnet(), images, TARGETS, QUICK.model_copy(update={"precision": "bfloat16"}))
    whole = fit_masks(_convnet(), images, TARGETS, QUICK)
    assert (half.joint - whole.joint).abs().max() > 0 and (half.joint - whole.joint).abs().mean() < 0.05


def test_no_images() -> None:
    masks = fit_masks(Patches(), torch.zeros(0, 3, 16, 16), torch.zeros(0, dtype=torch.int64))
    assert isinstance(masks, Masks) and len(masks) == 0


# --- checks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": torch.zeros(4, 1, 32, 32)}, r"images: expected \(N, 3, H, W\)"),
        ({"images": torch.zeros(4, 3, 32, 32, dtype=torch.uint8)}, "images: expected normalised floats"),
        ({"targets": torch.zeros(3, dtype=torch.int64)}, r"targets: expected \(4,\)"),
        ({"targets": torch.zeros(4)}, "targets: expected"),
        ({"targets": torch.tensor([0, 1, 4, 0])}, r"targets: image 2: expected a class in \[0, 4\), got 4"),
        ({"targets": torch.tensor([0, -1, 2, 0])}, "targets: image 1"),
        ({"seeds": torch.zeros(2, dtype=torch.int64)}, "seeds: expected"),
        ({"contrast": torch.tensor([1, 1, 0, 0])}, "contrast: image 1"),
        ({"contrast": torch.tensor([1, 2, 0, 9])}, "contrast: image 3"),
        ({"backgrounds": torch.zeros(4, 3, 8, 8)}, "backgrounds: expected"),
        ({"config": SCDConfig(infill="background")}, "backgrounds: expected images"),
    ],
)
def test_refusals(images: torch.Tensor, change: dict, message: str) -> None:
    call = {"images": images, "targets": TARGETS, "config": QUICK} | change
    with pytest.raises(ValueError, match=message):
        fit_masks(Patches(), **call)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_bad_image_is_named_before_the_model_runs(images: torch.Tensor, value: float) -> None:
    images[2, 1, 3, 4] = value
    model = Counting(Patches())
    with pytest.raises(ValueError, match="image 2: expected finite values, got 1 NaN or infinite"):
        fit_masks(model, images, TARGETS, QUICK.model_copy(update={"max_samples_per_forward": 8}))
    assert model.images == 0


class Overflowing(Patches):
    """Infinite logits for images whose mean is high."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = super().forward(images)
        return torch.where((images.mean((1, 2, 3)) > 5)[:, None], torch.inf, logits)


def test_bad_images_are_recorded_and_the_others_go_on(images: torch.Tensor) -> None:
    spoilt = images.clone()
    spoilt[0, 0, 0, 0] = torch.nan
    spoilt[2] += 10
    with pytest.raises(ValueError, match="image 2: expected finite logits"):
        fit_masks(Overflowing(), torch.cat((images[:2], spoilt[2:])), TARGETS, QUICK)
    masks = fit_masks(Overflowing(), spoilt, TARGETS, QUICK, on_error="record")
    assert sorted(masks.failures) == [0, 2] and "image 0" in masks.failures[0] and "logits" in masks.failures[2]
    clean = fit_masks(Overflowing(), images, TARGETS, QUICK)
    torch.testing.assert_close(masks.joint[[1, 3]], clean.joint[[1, 3]], rtol=0, atol=1e-4)
    assert masks.ssr_probability[[0, 2]].isnan().all() and masks.joint[[0, 2]].abs().max() == 0


class Breaking(Patches):
    """NaN under a mask only: the clean image passes."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = super().forward(images)
        return torch.where((images[:, 0, 0, 0] == 9.0)[:, None] | (images[:, 0, 0, 0] < 5)[:, None], logits, torch.nan)


@pytest.mark.parametrize("apart", [True, False])
def test_nan_under_the_mask_is_recorded_for_its_image_alone(
    images: torch.Tensor, apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scd_core.masks.engine import _Fitting

    monkeypatch.setattr(_Fitting, "is_apart", apart)
    clean = fit_masks(Breaking(), images, TARGETS, QUICK)
    images[1, :, 0, 0] = 9.0
    masks = fit_masks(Breaking(), images, TARGETS, QUICK, on_error="record")
    assert list(masks.failures) == [1] and "under the mask" in masks.failures[1]
    others = [0, 2, 3]
    torch.testing.assert_close(masks.joint[others], clean.joint[others], rtol=0, atol=1e-4)
    assert masks.joint[1].abs().max() == 0


def test_a_single_class_is_refused(images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="K = 1"):
        fit_masks(_convnet(1), images, torch.zeros(4, dtype=torch.int64), QUICK)


def test_a_model_without_gradient_is_refused(images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="differentiable"):
        fit_masks(
            lambda x: torch.ones(len(x), 4), images, TARGETS, QUICK.model_copy(update={"max_samples_per_forward": 8})
        )


# --- the model comes back -----------------------------------------------------------------------------------------


def _state(model: nn.Module) -> tuple:
    return (
        [module.training for module in model.modules()],
        [parameter.requires_grad for parameter in model.parameters()],
        [parameter.grad for parameter in model.parameters()],
        [buffer.clone() for buffer in model.buffers()],
        [id(buffer) for buffer in model.buffers()],
        [
            len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
            for module in model.modules()
        ],
    )


class Failing(nn.Module):
    """Fails at a given call, after it has changed a buffer as a careless model may."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.model, self.at, self.calls = _convnet(), at, 0
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.seen = self.seen + 1
        if self.calls == self.at:
            raise RuntimeError("injected")
        return self.model(images)


@pytest.mark.parametrize("at", [0, 1, 2, 3, 5])
def test_model_comes_back_as_it_was(images: torch.Tensor, at: int) -> None:
    model = Failing(at).train()
    model.model[1].eval()
    model.model[0].weight.requires_grad_(False)
    before = _state(model)
    if at:
        with pytest.raises(RuntimeError, match="injected"):
            fit_masks(model, images, TARGETS, QUICK)
    else:
        fit_masks(model, images, TARGETS, QUICK)
    after = _state(model)
    assert before[:3] == after[:3] and before[4:] == after[4:]
    assert all(torch.equal(old, new) for old, new in zip(before[3], after[3], strict=True))


def test_dropout_and_batch_norm_run_in_evaluation_mode(images: torch.Tensor) -> None:
    model = _convnet().train()
    assert torch.equal(
        fit_masks(model, images, TARGETS, QUICK).joint, fit_masks(model.eval(), images, TARGETS, QUICK).joint
    )


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradients_are_switched_on_inside(images: torch.Tensor, mode: type) -> None:
    expected = fit_masks(Patches(), images, TARGETS, QUICK).joint
    with mode():
        got = fit_masks(Patches(), images.clone(), TARGETS, QUICK).joint
    torch.testing.assert_close(got, expected)
