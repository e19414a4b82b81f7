"""AdderQuant: a network of adder layers on integers of 8 bits, calibrated without labels."""

from pathlib import Path

import mindspore as ms
from my_network import FORM, MyNetwork, images, train

import lowbitzoo


class MyAdderNetwork(MyNetwork):
    """The same network with adder layers behind the first convolution."""

    def __init__(self):
        super().__init__()
        self.conv2 = lowbitzoo.Adder2d(16, 32, 3, stride=2, pad_mode="same")
        self.conv3 = lowbitzoo.Adder2d(32, 32, 3, pad_mode="same")


ms.set_seed(0)
learn, test = images()
network = MyAdderNetwork()
train(network, learn, FORM, epochs=8, size=32, decay=5e-4)
print(f"float: accuracy {lowbitzoo.evaluate(network, images=test, preprocessing=FORM).accuracy:.4f} of {len(test)}")

stored = lowbitzoo.quantize(network, "AdderQuant", images=learn, preprocessing=FORM, bits=8)

Path("outputs").mkdir(exist_ok=True)
file = lowbitzoo.save(stored, "outputs/adderquant.ckpt")
again = lowbitzoo.load(file, network=MyAdderNetwork())
found = lowbitzoo.evaluate(again, images=test)
print(f"AdderQuant: accuracy {found.accuracy:.4f} of {found.samples}, {file.stat().st_size:,} bytes")
print(lowbitzoo.export(again, "outputs/adderquant.mindir", network=MyAdderNetwork()))
