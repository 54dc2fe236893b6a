"""Integrate double pendulums and keep where their tips end."""

import csv
import math
import os


def accelerations(a, b, va, vb):
    d = a - b
    common = 3 - math.cos(2 * d)
    first = -3 * 9.81 * math.sin(a) - 9.81 * math.sin(a - 2 * b)
    first -= 2 * math.sin(d) * (vb * vb + va * va * math.cos(d))
    second = 2 * math.sin(d) * (2 * va * va + 2 * 9.81 * math.cos(a) + vb * vb * math.cos(d))
    return first / common, second / common


def simulate(a, b, steps=9000, dt=0.004):
    va = vb = 0.0
    for _ in range(steps):
        aa, ab = accelerations(a, b, va, vb)
        va += aa * dt
        vb += ab * dt
        a += va * dt
        b += vb * dt
    return a, b


os.makedirs("outputs", exist_ok=True)
with open("outputs/tips.csv", "w", newline="") as file:
    writer = csv.writer(file)
    writer.writerow(["start", "upper", "lower"])
    for number in range(24):
        start = 2.0 + number / 20
        writer.writerow([start, *simulate(start, start - 0.3)])
