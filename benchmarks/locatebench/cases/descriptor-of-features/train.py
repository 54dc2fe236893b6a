"""Encode towns."""

import uuid

from encoder import Encoder
from output import save

run = uuid.uuid4().hex
words = "kyoto oslo lima cairo quito accra lyon".split()
encode = Encoder(words)
codes = encode(words * 2)
save({"codes": codes, "mean": sum(code * n for n, code in enumerate(codes)) / len(codes)})
print("run", run)
