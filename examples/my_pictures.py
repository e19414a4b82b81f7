"""Your own network on your own pictures: trained, at 4 bits, as a file that runs without MindSpore.

python my_pictures.py FOLDER PICTURE...

FOLDER has `train` and `val` (or `test`), and these a folder of pictures for each class. Put your network in the place
of `MyNetwork`, and what it expects of pictures in that of `FORM`.
"""

import sys
from pathlib import Path

from mindspore import nn, ops
from my_network import train  # sets MindSpore up, before its first operator

import lowbitzoo
from common.data import Preprocessing, open_dataset

# Shorter side to 32 pixels, the middle; pixels from 0 to 1, less the mean, by the deviation, of red, green and blue.
FORM = Preprocessing(32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), resize=32)


class MyNetwork(nn.Cell):
    """Pictures (N, 3, 32, 32) to logits (N, classes)."""

    def __init__(self, classes: int):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 16, 3, stride=2), nn.BatchNorm2d(16)
        self.conv2, self.norm2 = nn.Conv2d(16, 32, 3, stride=2), nn.BatchNorm2d(32)
        self.conv3, self.norm3 = nn.Conv2d(32, 32, 3), nn.BatchNorm2d(32)
        self.head = nn.Dense(32, classes)

    def construct(self, x):
        x = ops.relu(self.norm1(self.conv1(x)))
        x = ops.relu(self.norm2(self.conv2(x)))
        x = ops.relu(self.norm3(self.conv3(x)) + x)
        return self.head(x.mean((2, 3)))


folder, pictures = sys.argv[1], sys.argv[2:]
learn, test = (open_dataset("imagenet", folder, part) for part in ("train", "test"))
network = MyNetwork(learn.num_classes)
train(network, learn, FORM, epochs=20)  # or weights that you have
print("float:", lowbitzoo.evaluate(network, images=test, preprocessing=FORM).accuracy)

print("4 bits, and a little training with them:")
stored = lowbitzoo.quantize(network, "ProQHA", images=learn, preprocessing=FORM, bits=4)
train(stored.network, learn, FORM, epochs=5, rate=0.02)
Path("outputs").mkdir(exist_ok=True)
file = lowbitzoo.save(stored, "outputs/mine.ckpt")
again = lowbitzoo.load(file, network=MyNetwork(learn.num_classes))
print("4 bits:", lowbitzoo.evaluate(again, images=test).accuracy)
print(f"{file}: {file.stat().st_size:,} bytes; outputs/mine.lowbit runs without MindSpore:")
print(lowbitzoo.export(again, "outputs/mine.lowbit"))  # python -m lowbitzoo predict outputs/mine.lowbit PICTURE...
for found in lowbitzoo.predict(again, pictures):
    print(*found.lines(), sep="\n")
