"""Preprocessing against torchvision's and timm's own transforms, on real photographs, through the decoder of the product."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageOps
from torchvision import models, transforms

from scd_core.identify import load_model
from scd_core.identify.architectures import build_network, default_input
from scd_core.identify.preprocess import decode_size, preprocess
from scd_core.identify.spec import InputSpec
from scd_core.media.decode import decode_image

FILES = ("southwest/IMAG0004_cougar.JPG", "southwest/2021-07-24_SYFR0655_coyote.JPG", "jaguar")
LARGE = ("southwest/2021-05-28_SYFR0041_deer.JPG", "southwest/2021-12-07_12080069_rabbit.JPG")
"""12 and 8 megapixels."""
TORCHVISION = ("mobilenet_v3_small", "efficientnet_b0", "regnet_y_400mf", "swin_t", "vit_b_16", "shufflenet_v2_x1_0")
"""Bilinear and bicubic, resize 232, 236, 238 and 256."""
TIMM = ("resnet18.a1_in1k", "mobilenetv3_small_100.lamb_in1k", "tf_efficientnet_lite0.in1k", "vit_tiny_patch16_224")
"""crop_pct .875, .9, .95; bicubic and bilinear; other means."""
RUN = {"torchvision/mobilenet_v3_small", "torchvision/shufflenet_v2_x1_0", "timm/resnet18.a1_in1k"}
"""Those whose logits are compared as well: small ones."""


def _files(photographs: Path) -> list[Path]:
    found = [photographs / name for name in FILES]
    return [sorted(path.glob("*.jpg"))[0] if path.is_dir() else path for path in found]


@lru_cache(maxsize=8)
def _upright(path: Path) -> Image.Image:
    """The photograph as Pillow has it; decoded once for all architectures."""
    with Image.open(path) as opened:
        return ImageOps.exif_transpose(opened).convert("RGB")


@lru_cache(maxsize=8)
def _decoded(path: Path, target: int | None) -> Image.Image:
    """The photograph as the product decodes it."""
    return decode_image(path.read_bytes(), target=target, max_pixels=10**9)


def _agree(architecture: str, transform: object, photographs: Path) -> None:
    spec = InputSpec(**default_input(architecture) | {"resize": "crop"})
    torch.manual_seed(3)
    network = build_network(architecture, 5).eval() if architecture in RUN else None
    for path in _files(photographs):
        expected = transform(_upright(path))  # type: ignore[operator]
        got = preprocess(_decoded(path, decode_size(spec)), spec)
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
        if network is not None:
            with torch.inference_mode():
                torch.testing.assert_close(network(got[None]), network(expected[None]), atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", TORCHVISION)
def test_the_rule_crop_is_torchvisions_own(name: str, photographs: Path) -> None:
    _agree(f"torchvision/{name}", models.get_model_weights(name).DEFAULT.transforms(), photographs)


@pytest.mark.parametrize("name", TIMM)
def test_the_rule_crop_is_timms_own(name: str, photographs: Path) -> None:
    timm = pytest.importorskip("timm")
    model = timm.create_model(name, pretrained=False)
    config = timm.data.resolve_data_config({}, model=model)
    _agree(f"timm/{name}", timm.data.create_transform(**config, is_training=False), photographs)


def test_the_rule_stretch_is_resize_on_twelve_megapixels(photographs: Path, mobilenet: Path) -> None:
    """With trained weights: the logits of random ones hardly depend on the picture."""
    classifier = load_model(str(mobilenet))
    spec = classifier.spec.input
    assert (spec.resize, spec.decode) == ("stretch", "full")
    transform = transforms.Compose(
        [transforms.Resize(spec.size), transforms.ToTensor(), transforms.Normalize(spec.mean, spec.std)]
    )
    for name in LARGE:
        path = photographs / name
        upright = _upright(path)
        assert upright.width * upright.height > 8_000_000
        expected = transform(upright)
        picture = _decoded(path, decode_size(spec))
        with torch.inference_mode():
            wanted = classifier.model(expected[None])
        torch.testing.assert_close(classifier.logits(classifier.preprocess(picture)[None]), wanted, atol=1e-3, rtol=0)


def test_the_rule_pad_is_resize_and_pad(photographs: Path) -> None:
    spec = InputSpec(**default_input("torchvision/mobilenet_v3_small") | {"resize": "pad"})
    path = photographs / LARGE[0]
    upright = _upright(path)
    height, width = spec.size
    inner = transforms.Resize((round(upright.height * width / upright.width), width))(upright)
    above = (height - inner.height) // 2
    fill = tuple(round(255 * value) for value in spec.mean)
    padded = transforms.Pad((0, above, 0, height - inner.height - above), fill)(inner)
    expected = transforms.Compose([transforms.ToTensor(), transforms.Normalize(spec.mean, spec.std)])(padded)
    got = preprocess(_decoded(path, decode_size(spec)), spec)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_a_reduced_decode_is_an_option_and_really_differs(photographs: Path, mobilenet: Path) -> None:
    """Guards the tests above: the option is off by default, because at a reduced scale logits differ by far more than 1e-3."""
    classifier = load_model(str(mobilenet))
    full = classifier.spec.input
    reduced = full.model_copy(update={"decode": "reduced"})
    assert decode_size(full) is None
    assert decode_size(full.model_copy(update={"resize": "crop", "decode": "reduced"})) is None
    inputs = [preprocess(_decoded(photographs / LARGE[0], decode_size(spec)), spec) for spec in (full, reduced)]
    one, other = classifier.logits(torch.stack(inputs))
    assert 1e-2 < float((one - other).abs().max()) < 1.0


@pytest.mark.parametrize("resize", ["stretch", "pad"])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_the_quick_resize_of_a_reduced_decode_is_pillows_but_for_rounding(
    photographs: Path, resize: str, interpolation: str
) -> None:
    given = {"size": (128, 224), "resize": resize, "interpolation": interpolation}
    full = InputSpec(**default_input("torchvision/mobilenet_v3_small") | given)
    picture = _decoded(photographs / LARGE[0], 672)
    for seen in (picture, picture.resize((90, 50))):
        own, quick = (preprocess(seen, spec) for spec in (full, full.model_copy(update={"decode": "reduced"})))
        levels = (own - quick).abs() * torch.tensor(full.std).view(3, 1, 1) * 255
        assert levels.max() < 1.01
        assert (levels > 0.5).float().mean() < 0.01
