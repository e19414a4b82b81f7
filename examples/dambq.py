"""DAMBQ: 0 to 4 bits of every channel; here 4 of all."""

from pathlib import Path

import mindspore as ms
from my_network import FORM, MyNetwork, images, train

import lowbitzoo

ms.set_seed(0)
learn, test = images()
network = MyNetwork()
train(network, learn, FORM, epochs=8)
print(f"float: accuracy {lowbitzoo.evaluate(network, images=test, preprocessing=FORM).accuracy:.4f} of {len(test)}")

stored = lowbitzoo.quantize(network, "DAMBQ", images=learn, preprocessing=FORM, bits=4)
train(stored.network, learn, FORM, epochs=3, rate=0.02)

Path("outputs").mkdir(exist_ok=True)
file = lowbitzoo.save(stored, "outputs/dambq.ckpt")
again = lowbitzoo.load(file, network=MyNetwork())
found = lowbitzoo.evaluate(again, images=test)
print(f"DAMBQ: accuracy {found.accuracy:.4f} of {found.samples}, {file.stat().st_size:,} bytes")
print(lowbitzoo.export(again, "outputs/dambq.mindir", network=MyNetwork()))
