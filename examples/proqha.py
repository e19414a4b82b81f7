"""ProQHA: bits of every layer, 2 to 8; here 4 of all, or those of a file, bits_file="bits.json"."""

from pathlib import Path

import mindspore as ms
from my_network import FORM, MyNetwork, images, train

import lowbitzoo

ms.set_seed(0)
learn, test = images()
network = MyNetwork()
train(network, learn, FORM, epochs=8)
print(f"float: accuracy {lowbitzoo.evaluate(network, images=test, preprocessing=FORM).accuracy:.4f} of {len(test)}")

stored = lowbitzoo.quantize(network, "ProQHA", images=learn, preprocessing=FORM, bits=4)
train(stored.network, learn, FORM, epochs=3, rate=0.02)

Path("outputs").mkdir(exist_ok=True)
file = lowbitzoo.save(stored, "outputs/proqha.ckpt")
again = lowbitzoo.load(file, network=MyNetwork())
found = lowbitzoo.evaluate(again, images=test)
print(f"ProQHA: accuracy {found.accuracy:.4f} of {found.samples}, {file.stat().st_size:,} bytes")
print(lowbitzoo.export(again, "outputs/proqha.mindir", network=MyNetwork()))
