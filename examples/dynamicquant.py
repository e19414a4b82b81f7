"""DynamicQuant: 3, 4 or 5 bits of each layer, chosen for each image."""

from pathlib import Path

import mindspore as ms
from my_network import FORM, MyNetwork, images, train

import lowbitzoo

ms.set_seed(0)
learn, test = images()
network = MyNetwork()
train(network, learn, FORM, epochs=8)
print(f"float: accuracy {lowbitzoo.evaluate(network, images=test, preprocessing=FORM).accuracy:.4f} of {len(test)}")

stored = lowbitzoo.quantize(network, "DynamicQuant", images=learn, preprocessing=FORM, bits=4)
train(stored.network, learn, FORM, epochs=3, rate=0.02)

Path("outputs").mkdir(exist_ok=True)
file = lowbitzoo.save(stored, "outputs/dynamicquant.ckpt")
again = lowbitzoo.load(file, network=MyNetwork())
found = lowbitzoo.evaluate(again, images=test)
print(f"DynamicQuant: accuracy {found.accuracy:.4f} of {found.samples}, {file.stat().st_size:,} bytes")
print(lowbitzoo.export(again, "outputs/dynamicquant.mindir", network=MyNetwork()))
