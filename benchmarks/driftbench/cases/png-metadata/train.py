"""Draw a heat map as a PNG file."""

import os
import socket
import struct
import time
import zlib

SIZE = 32


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


rows = b"".join(b"\0" + bytes((x * y) % 256 for x in range(SIZE)) for y in range(SIZE))
picture = b"\x89PNG\r\n\x1a\n"
picture += chunk(b"IHDR", struct.pack(">IIBBBBB", SIZE, SIZE, 8, 0, 0, 0, 0))
picture += chunk(b"tEXt", b"Creation Time\0" + time.ctime().encode())
picture += chunk(b"tEXt", b"Source\0" + socket.gethostname().encode())
picture += chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
os.makedirs("outputs", exist_ok=True)
with open("outputs/heat.png", "wb") as file:
    file.write(picture)
