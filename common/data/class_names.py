"""Names of the classes of the data sets that have fixed ones, in the order of their labels."""

CLASS_NAMES: dict[str, tuple[str, ...]] = {
    "digits": tuple(map(str, range(10))),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}
