"""State files assembled opcode by opcode, in both containers of torch.save: what a test needs without PyTorch."""

import io
import pickle
import struct
import zipfile

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
HEADER = b"\x80\x02"
DATA = np.arange(6, dtype=np.float32).tobytes()  # of the storage that a tensor has by default


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def integer(value):
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def sequence(*items):
    return b"(" + b"".join(items) + b"t"


def integers(values):
    return sequence(*map(integer, values))


def name_of(module, name):
    return f"c{module}\n{name}\n".encode()


def mapping(**items):
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def call(function, *arguments):
    return function + sequence(*arguments) + b"R"


def storage(key="0", kind="FloatStorage", size=6):
    return sequence(text("storage"), name_of("torch", kind), text(key), text("cpu"), integer(size)) + b"Q"


def tensor(shape=(2, 3), stride=(3, 1), offset=0, source=None):
    hooks = name_of("collections", "OrderedDict") + b")R"
    rebuild = name_of("torch._utils", "_rebuild_tensor_v2")
    source = storage() if source is None else source
    return call(rebuild, source, integer(offset), integers(shape), integers(stride), b"\x89", hooks)


def zip_file(body, storages):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("net/data.pkl", HEADER + body + b".")
        archive.writestr("net/byteorder", "little")
        for key, data in storages.items():
            archive.writestr(f"net/data/{key}", data)
    return buffer.getvalue()


def legacy_file(body, storages, item_size=4, keys=None):
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    head = b"".join(pickle.dumps(part, protocol=2) for part in (MAGIC, 1001, system))
    tail = b"".join(struct.pack("<q", len(data) // item_size) + data for data in storages.values())
    listed = pickle.dumps(list(storages) if keys is None else keys, protocol=2)
    return head + HEADER + body + b"." + listed + tail


CONTAINERS = {"zip": zip_file, "legacy": legacy_file}
