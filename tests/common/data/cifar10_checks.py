"""What a loaded data set must hold."""

import numpy as np


def assert_holds(arrays, images, labels):
    assert np.array_equal(arrays.images, images) and np.array_equal(arrays.labels, labels)
    assert arrays.images.dtype == np.uint8 and arrays.labels.dtype == np.int32 and arrays.num_classes == 10
