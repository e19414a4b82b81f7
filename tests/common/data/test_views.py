"""Views of image files: equal to Pillow on whole images, near to that on large ones, the same on any threads."""

import numpy as np
import pytest
from PIL import Image

from common.data import IMAGENET, image_file, imagenet
from common.data.draws import uniform
from common.data.preprocessing import Preprocessing
from common.data.transforms import random_box
from common.data.views import CentralView, RandomView
from common.distributed import processors
from common.errors import DataError

SMALL = Preprocessing(56, IMAGENET.mean, IMAGENET.std, resize=64, flip=True)
WHOLE_BOX = np.array([np.nextafter(1, 0), 0.5, 0, 0] * 10)


@pytest.fixture
def chosen_processors():
    yield processors.choose
    processors.choose(None)


def photo(folder, width, height, form="JPEG"):
    """A smooth picture with an edge, as a file."""
    y, x = np.mgrid[:height, :width]
    channels = [127 + 100 * np.sin(x / width * 9), 255 * y / height, np.where(x > width / 2, 220, 30)]
    file = folder / f"{width}x{height}.{form.lower()}"
    Image.fromarray(np.stack(channels, -1).astype(np.uint8)).save(file, form, quality=92)
    return file


def seen(view, file, whole):
    """Pixels of a view of a file, decoded whole or at the size that is enough, and the size of what was decoded."""
    decoded = image_file.decode(file, enough=None if whole else view.enough)
    return np.asarray(view.of(decoded.image, decoded.whole)).astype(int), decoded.image.size


@pytest.mark.parametrize(
    ("size", "decoded"),
    [
        ((255, 256), (255, 256)),
        ((256, 128), (256, 128)),
        ((256, 300), (128, 150)),
        ((600, 513), (150, 129)),  # a size that is no multiple is rounded up
        ((4000, 1024), (500, 128)),
        ((4100, 4100), (513, 513)),  # an eighth is the least
    ],
)
def test_evaluation_decodes_at_twice_its_size_or_more(tmp_path, size, decoded):
    view, file = CentralView(SMALL), photo(tmp_path, *size)
    (less, found), (all_pixels, whole) = seen(view, file, False), seen(view, file, True)
    assert found == decoded and whole == size
    if found == whole:
        assert np.array_equal(less, all_pixels)
    else:
        assert np.abs(less - all_pixels).mean() < 0.6 and np.abs(less - all_pixels).max() < 24  # at the edge


def test_other_formats_are_decoded_whole(tmp_path):
    _, found = seen(CentralView(SMALL), photo(tmp_path, 600, 513, "PNG"), False)
    assert found == (600, 513)


def test_training_decodes_at_the_size_of_the_part(tmp_path):
    file = photo(tmp_path, 900, 700)
    halves = set()
    for row in uniform(3, 1, np.arange(40), 41):
        view = RandomView(SMALL, row)
        (less, found), (all_pixels, _) = seen(view, file, False), seen(view, file, True)
        left, top, right, bottom = random_box(900, 700, row[:-1])
        scale = max(s for s in (1, 2, 4, 8) if min(right - left, bottom - top) // s >= 56)
        assert found == (-(-900 // scale), -(-700 // scale))
        assert np.abs(less - all_pixels).mean() < 1.5  # the same place
        halves.add(scale)
    assert len(halves) >= 3


def test_training_of_whole_pixels_is_a_crop_and_a_resize(tmp_path):
    file, row = photo(tmp_path, 90, 70), np.random.default_rng(2).random(41)
    box = random_box(90, 70, row[:-1])
    expected = np.asarray(Image.open(file).crop(box).resize((56, 56), Image.Resampling.BILINEAR))
    found, _ = seen(RandomView(SMALL, row), file, False)
    assert np.array_equal(found, expected[:, ::-1] if row[-1] < 0.5 else expected)


def test_mirror_is_that_of_the_last_draw(tmp_path):
    file = photo(tmp_path, 900, 700)
    plain, mirrored = (seen(RandomView(SMALL, np.append(WHOLE_BOX, last)), file, False)[0] for last in (0.7, 0.2))
    assert np.array_equal(plain[:, ::-1], mirrored) and not np.array_equal(plain, mirrored)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_modes_of_jpeg_files_at_less_than_their_size(tmp_path, mode):
    file = tmp_path / "a.jpg"
    Image.open(photo(tmp_path, 600, 513)).convert(mode).save(file)
    less, found = seen(CentralView(SMALL), file, False)
    assert found == (150, 129) and np.abs(less - seen(CentralView(SMALL), file, True)[0]).mean() < 0.6


def test_batches_do_not_depend_on_threads(image_tree, chosen_processors):
    source, batches = imagenet.load(image_tree, "train"), []
    for count in (1, 2, 5):
        chosen_processors(count)
        indices = np.arange(28) % 7
        batches.append((source.train_batch(indices, SMALL, 1, 2), source.eval_batch(indices, SMALL)))
    for batch in batches[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(batch, batches[0], strict=True))


@pytest.mark.parametrize("threads", [1, 3])
def test_the_first_damaged_image_of_a_batch_is_named(image_tree, chosen_processors, threads):
    for name in ("n03/6", "n01/4"):
        file = image_tree / f"{name}.JPEG"
        file.write_bytes(file.read_bytes()[:700])
    chosen_processors(threads)
    source = imagenet.load(image_tree, "train")
    for order, name in ((np.arange(7), "n01/4"), (np.arange(7)[::-1], "n03/6")):
        with pytest.raises(DataError, match=rf"{name}\.JPEG: not a readable image"):
            source.eval_batch(order, SMALL)
        with pytest.raises(DataError, match=rf"{name}\.JPEG: not a readable image"):
            source.train_batch(order, SMALL, 0, 0)
