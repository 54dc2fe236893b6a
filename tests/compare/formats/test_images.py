"""Images: pixels count, how they are stored does not."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from pytest_mlcontainer.compare.formats.thumbnails import MOST_BYTES
from pytest_mlcontainer.compare.matching.similarity import WINDOW, psnr, ssim
from pytest_mlcontainer.model import Pictures, Tolerance, Verdict
from tests.fixture_types import Compare, Only

RNG = np.random.default_rng(7)
PICTURE = RNG.integers(0, 256, (40, 60, 3), np.uint8)


def saved(
    pixels: Image.Image | np.ndarray, kind: str = "png", mode: str | None = None, **options: Any
) -> bytes:
    stream = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(stream, kind, **options)
    return stream.getvalue()


def changed(pixels: np.ndarray, by: int = 1) -> np.ndarray:
    other = pixels.copy()
    other[3, 5] = other[3, 5] ^ by
    return np.asarray(other)


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff", "webp", "gif"])
def test_one_pixel_is_found_whatever_the_file_is_called(only: Only, kind: str) -> None:
    options: dict[str, Any] = {"lossless": True} if kind == "webp" else {}
    pixels = PICTURE[:, :, 0] if kind == "gif" else PICTURE
    found = only("a.bin", saved(changed(pixels), kind, **options), saved(pixels, kind, **options))
    assert (found.verdict, found.max_abs) == (Verdict.DRIFT, 1.0)
    assert (found.worst_index or ())[:2] == (3, 5)


def test_compression_text_and_profiles_do_not_count(only: Only) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "Matplotlib version 3.9")
    info.add_text("Creation Time", "2026-01-01")
    plain = saved(PICTURE, compress_level=0)
    other = saved(PICTURE, compress_level=9, pnginfo=info, dpi=(72, 72), icc_profile=b"profile")
    assert only("a.png", other, plain).verdict is Verdict.IDENTICAL


def test_exif_and_tables_of_a_jpeg_do_not_count_and_its_quality_does(only: Only) -> None:
    smooth = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    plain = saved(smooth, "jpeg", quality=90)
    exif = Image.Exif()
    exif[0x0132] = "2026:01:01 00:00:00"
    other = saved(smooth, "jpeg", quality=90, optimize=True, exif=exif)
    assert only("a.jpg", other, plain).verdict is Verdict.IDENTICAL
    assert only("a.jpg", saved(smooth, "jpeg", quality=30), plain).verdict is Verdict.DRIFT


def test_a_rule_allows_some_levels(only: Only) -> None:
    near = np.clip(PICTURE.astype(int) + RNG.integers(-3, 4, PICTURE.shape), 0, 255)
    sides = saved(near.astype(np.uint8)), saved(PICTURE)
    assert only("a.png", *sides).verdict is Verdict.DRIFT
    found = only("a.png", *sides, Tolerance(atol=3))
    assert (found.verdict, found.max_abs) == (Verdict.EQUIVALENT, 3.0)
    assert only("a.png", *sides, Tolerance(atol=2)).verdict is Verdict.DRIFT


def test_a_difference_says_how_alike_they_look(only: Only) -> None:
    slight = only("a.png", saved(changed(PICTURE)), saved(PICTURE)).note
    strong = only("a.png", saved(PICTURE[::-1]), saved(PICTURE)).note
    assert slight.startswith("SSIM 1.0000, PSNR ")
    assert float(strong.split()[1].rstrip(",")) < 0.2


def test_ssim_is_that_of_the_paper() -> None:
    """Against the definition, window by window."""
    expected = RNG.integers(0, 256, (20, 24)).astype(float)
    actual = np.clip(expected + RNG.normal(0, 20, expected.shape), 0, 255)
    line = np.exp(-((np.arange(WINDOW) - 5.0) ** 2) / (2 * 1.5**2))
    weights = np.outer(line, line) / line.sum() ** 2
    first, second = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for row in range(20 - WINDOW + 1):
        for column in range(24 - WINDOW + 1):
            left = actual[row : row + WINDOW, column : column + WINDOW]
            right = expected[row : row + WINDOW, column : column + WINDOW]
            means = (weights * left).sum(), (weights * right).sum()
            variances = [
                (weights * (side - mean) ** 2).sum()
                for side, mean in zip((left, right), means, strict=True)
            ]
            both = (weights * (left - means[0]) * (right - means[1])).sum()
            values.append(
                (2 * means[0] * means[1] + first)
                * (2 * both + second)
                / ((means[0] ** 2 + means[1] ** 2 + first) * (sum(variances) + second))
            )
    assert ssim(actual, expected, 255) == pytest.approx(np.mean(values), abs=1e-12)
    assert ssim(expected, expected, 255) == pytest.approx(1)
    tall = RNG.integers(0, 256, (700, 20)).astype(float)
    assert ssim(tall[::-1], tall, 255) == pytest.approx(ssim(tall[:, ::-1], tall[::-1, ::-1], 255))


def test_psnr_is_that_of_the_textbook() -> None:
    expected = np.zeros((600, 4), np.uint8)
    assert psnr(expected + np.uint8(5), expected, 255) == pytest.approx(10 * np.log10(255**2 / 25))


def test_size_and_mode_are_part_of_the_value(only: Only) -> None:
    found = only("a.png", saved(PICTURE[:-1]), saved(PICTURE))
    assert (found.verdict, found.note) == (Verdict.DRIFT, "60 × 39 pixels, expected 60 × 40")
    found = only("a.png", saved(PICTURE, mode="RGBA"), saved(PICTURE))
    assert (found.verdict, found.note) == (Verdict.DRIFT, "mode RGBA, expected RGB")


def test_a_palette_is_the_colours_it_shows(only: Only) -> None:
    image = Image.fromarray(PICTURE).quantize(16)
    turned = image.remap_palette(list(range(16))[::-1])
    assert only("a.png", saved(turned), saved(image)).verdict is Verdict.IDENTICAL
    assert only("a.png", saved(image, mode="RGB"), saved(image)).verdict is Verdict.IDENTICAL
    other = image.copy()
    index = other.getpixel((1, 1))
    assert isinstance(index, int)
    other.putpixel((1, 1), (index + 1) % 16)
    assert only("a.png", saved(other), saved(image)).verdict is Verdict.DRIFT


def test_transparency_is_seen(only: Only) -> None:
    alpha = np.dstack([PICTURE, np.full((40, 60), 255, np.uint8)])
    other = alpha.copy()
    other[2, 2, 3] = 0
    found = only("a.png", saved(other), saved(alpha))
    assert (found.verdict, found.worst_index) == (Verdict.DRIFT, (2, 2, 3))


def test_one_bit_and_16_bits_of_grey_are_read_in_full(only: Only) -> None:
    grey = RNG.integers(0, 65536, (20, 20)).astype(np.uint16)
    found = only("a.png", saved(changed(grey)), saved(grey))
    assert (found.verdict, found.max_abs) == (Verdict.DRIFT, 1.0)
    bits = PICTURE[:, :, 0] > 127
    found = only("a.png", saved(changed(bits)), saved(bits))
    assert (found.verdict, found.differing) == (Verdict.DRIFT, 1)


def png_of(rows: list[bytes], depth: int, colour: int) -> bytes:
    """A PNG with one byte row for each of `rows`, written by hand."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data))
        )

    width = len(rows[0]) * 8 // depth // 3
    header = struct.pack(">LLBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_what_pillow_cannot_see_of_16_bit_colour_never_passes(only: Only) -> None:
    plain = png_of([bytes(24)] * 4, 16, 2)
    low = png_of([bytes(24)] * 3 + [bytes(23) + b"\1"], 16, 2)
    found = only("a.png", low, plain)
    assert (found.verdict, "16 bits" in found.note) == (Verdict.FAILED, True)
    high = png_of([bytes(24)] * 3 + [bytes(22) + b"\1\0"], 16, 2)
    assert only("a.png", high, plain).verdict is Verdict.DRIFT


def test_frames_of_an_animation_are_items(compare: Compare) -> None:
    frames = [Image.fromarray(RNG.integers(0, 256, (12, 12), np.uint8)) for _ in range(4)]

    def animated(pictures: list[Any], **options: Any) -> bytes:
        return saved(
            pictures[0], "gif", save_all=True, append_images=pictures[1:], loop=0, **options
        )

    expected = animated(frames, duration=100)
    other = frames[2].point(lambda level: 255 - level)
    found = compare("a.gif", animated([*frames[:2], other, frames[3]], duration=100), expected)[0]
    assert {each.item for each in found if not each.verdict.passes} == {"frame[2]"}
    (drift,) = (
        each
        for each in compare("a.gif", animated(frames[:3], duration=100), expected)[0]
        if not each.verdict.passes
    )
    assert (drift.item, drift.note) == ("frames", "3, expected 4")
    found = compare("a.gif", animated(frames, duration=200), expected)[0]
    assert {each.item for each in found if not each.verdict.passes} == {"durations"}


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "tiff", "webp", "bmp"])
@pytest.mark.parametrize("keep", [0.02, 0.4, 0.9])
def test_a_truncated_image_never_passes(compare: Compare, kind: str, keep: float) -> None:
    whole = saved(PICTURE, kind)
    differences, _notes = compare(f"a.{kind}", whole[: int(len(whole) * keep)], whole)
    assert not any(each.verdict.passes for each in differences)


def test_a_truncated_image_names_the_side(only: Only) -> None:
    whole = saved(PICTURE)
    found = only("a.png", whole[:3000], whole)
    assert found.verdict is Verdict.FAILED
    assert found.note.startswith("actual run: a.png is damaged or truncated")


def test_a_huge_picture_is_refused_with_what_to_do(only: Only) -> None:
    bomb = bytearray(saved(PICTURE))
    bomb[16:24] = struct.pack(">LL", 60_000, 60_000)
    bomb[29:33] = struct.pack(">L", zlib.crc32(bomb[12:29]))
    found = only("a.png", bytes(bomb), saved(PICTURE))
    assert found.verdict is Verdict.FAILED
    assert "pixels, as many as Pillow opens" in found.note
    assert "ignore it by a rule" in found.note


def test_a_huge_frame_of_an_animation_is_refused_as_well(compare: Compare) -> None:
    """Its size is its own, and read when the ones before it have been compared."""
    stream = io.BytesIO()
    frames = [Image.fromarray(PICTURE), Image.fromarray(255 - PICTURE)]
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    whole = bytearray(stream.getvalue())
    second = whole.rindex(b"," + bytes(4) + whole[6:10])  # where, and as large as the screen
    bomb = whole.copy()
    bomb[second + 5 : second + 9] = b"\xff" * 4
    differences, _notes = compare("a.gif", bytes(bomb), bytes(whole))
    (found,) = (each for each in differences if each.verdict is Verdict.FAILED)
    assert "pixels, as many as Pillow opens" in found.note


def test_text_that_begins_like_a_bitmap_is_text(only: Only) -> None:
    assert only("a.txt", "BM is a road\n" * 3, "BM is a path\n" * 3).unit == "lines"


def shown(png: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png, validate=True))).convert("RGB"))


def pictures(only: Only, actual: bytes, expected: bytes) -> Pictures:
    plots = only("a.png", actual, expected).plots
    assert plots is not None
    assert plots.pictures is not None
    return plots.pictures


def test_images_that_differ_are_drawn_with_the_places_where_they_do(only: Only) -> None:
    found = pictures(only, saved(changed(PICTURE, 128)), saved(PICTURE))
    assert (found.width, found.height) == (60, 40)
    assert np.array_equal(shown(found.actual), changed(PICTURE, 128))
    assert np.array_equal(shown(found.expected), PICTURE)
    red = shown(found.difference)
    marked = np.argwhere(red[:, :, 0].astype(int) - red[:, :, 1] > 50)
    assert marked.tolist() == [[3, 5]]


@pytest.mark.parametrize("by", [1, 255])
def test_a_single_pixel_of_a_large_image_can_be_seen_in_its_picture(only: Only, by: int) -> None:
    pixels = np.full((900, 1700), 90, np.uint8)
    found = pictures(only, saved(changed(pixels, by)), saved(pixels))
    red = shown(found.difference).astype(int)
    assert max(red.shape[:2]) <= 240
    assert (red[:, :, 0] - red[:, :, 1] > 50).sum() == 1


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("1", "png"),
        ("L", "png"),
        ("LA", "png"),
        ("P", "gif"),
        ("RGBA", "webp"),
        ("I;16", "png"),
        ("F", "tiff"),
        ("CMYK", "jpeg"),
        ("YCbCr", "jpeg"),
        ("LAB", "tiff"),
        ("I", "tiff"),
    ],
)
def test_images_of_every_mode_are_drawn(only: Only, mode: str, kind: str) -> None:
    options: dict[str, Any] = {"lossless": True} if kind == "webp" else {}
    base = Image.fromarray(PICTURE)
    if mode == "LAB":
        sides = [Image.frombytes("LAB", (60, 40), p.tobytes()) for p in (PICTURE, 255 - PICTURE)]
    elif mode == "I;16":
        wide = PICTURE[:, :, 0].astype(np.uint16) * 250
        sides = [Image.fromarray(each) for each in (wide, wide[::-1])]
    else:
        sides = [each.convert(mode) for each in (base, Image.fromarray(255 - PICTURE))]
    found = pictures(only, *(saved(side, kind, **options) for side in sides))
    assert all(shown(png).shape == (40, 60, 3) for png in (found.actual, found.difference))


def test_images_of_two_sizes_are_drawn_without_a_difference(only: Only) -> None:
    found = pictures(only, saved(PICTURE[:20]), saved(PICTURE))
    assert (shown(found.actual).shape, shown(found.expected).shape) == ((20, 60, 3), (40, 60, 3))
    assert (found.difference, found.height) == ("", 40)


def test_pictures_are_small_whatever_is_in_the_images(only: Only) -> None:
    noise = RNG.integers(0, 256, (2, 1200, 1500, 4), np.uint8)
    found = pictures(only, *(saved(side, compress_level=1) for side in noise))
    size = sum(len(each) for each in (found.actual, found.expected, found.difference))
    assert size * 3 / 4 <= MOST_BYTES
    assert min(shown(found.difference).shape[:2]) > 40


def test_nothing_of_the_file_but_its_pixels_is_in_a_picture(only: Only) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "<script>secret</script>")
    found = pictures(only, saved(changed(PICTURE), pnginfo=info), saved(PICTURE))
    for png in (found.actual, found.expected, found.difference):
        image = Image.open(io.BytesIO(base64.b64decode(png)))
        assert isinstance(image, PngImagePlugin.PngImageFile)
        assert image.text == {}


def test_pixels_that_are_no_numbers_are_drawn(only: Only) -> None:
    values = np.linspace(-5, 5, 64 * 64, dtype=np.float32).reshape(64, 64)
    other = values.copy()
    other[0, :4] = np.nan, np.inf, -np.inf, 9
    found = pictures(only, saved(other, "tiff"), saved(values, "tiff"))
    red = shown(found.difference).astype(int)
    assert (red[:, :, 0] - red[:, :, 1] > 50).sum() == 4
