"""Names of the classes of the data sets that have fixed ones, in the order of their labels."""

from functools import cache
from pathlib import Path

_CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""
FIXED_NAMES: dict[str, tuple[str, ...]] = {
    "digits": tuple(map(str, range(10))),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    "cifar100": tuple(_CIFAR100.split()),  # the fine labels
}


def known_names(dataset: str | None) -> tuple[str, ...] | None:
    """Names of the classes of a data set; those of ``imagenet`` are the WordNet ids of its 1000 classes.

    None where the data set has no fixed ones.
    """
    return tuple(imagenet_words()) if dataset == "imagenet" else FIXED_NAMES.get(dataset or "")


@cache
def imagenet_words() -> dict[str, str]:
    """The words of ImageNet's 1000 classes, such as ``tench, Tinca tinca``, by their WordNet ids, in label order."""
    lines = (Path(__file__).parent / "imagenet_classes.txt").read_text("utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines)


def words(name: str) -> str:
    """A class's name for people: the words of an ImageNet id, any other name as it is."""
    return imagenet_words().get(name, name) if name[:1] == "n" else name
