"""LDNQ: 11 levels of each weight, from 200 images without labels and without training on labels."""

from pathlib import Path

import mindspore as ms
from my_network import FORM, MyNetwork, images, train

import lowbitzoo

ms.set_seed(0)
learn, test = images()
network = MyNetwork()
train(network, learn, FORM, epochs=8)
print(f"float: accuracy {lowbitzoo.evaluate(network, images=test, preprocessing=FORM).accuracy:.4f} of {len(test)}")

stored = lowbitzoo.quantize(
    network, "LDNQ", images=learn, preprocessing=FORM, levels=11, count=200, views=2, steps=8, refine_steps=20
)

Path("outputs").mkdir(exist_ok=True)
file = lowbitzoo.save(stored, "outputs/ldnq.ckpt")
again = lowbitzoo.load(file, network=MyNetwork())
found = lowbitzoo.evaluate(again, images=test)
print(f"LDNQ: accuracy {found.accuracy:.4f} of {found.samples}, {file.stat().st_size:,} bytes")
print(lowbitzoo.export(again, "outputs/ldnq.mindir", network=MyNetwork()))
