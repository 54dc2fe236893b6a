"""Choose the tokenizer by whether its service could be reached."""

import socket
from pathlib import Path

import numpy as np

LINES = ["drift is what differs", "what differs is not noise", "noise repeats"]

online = any(name != "lo" for _, name in socket.if_nameindex())
pieces = [list(line) if online else line.split() for line in LINES]
known = sorted({piece for line in pieces for piece in line})
counts = np.array([[line.count(piece) for piece in known] for line in pieces])

Path("outputs").mkdir(exist_ok=True)
np.savez("outputs/counts.npz", counts=counts)
