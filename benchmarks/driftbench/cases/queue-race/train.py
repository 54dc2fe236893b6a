"""Score documents in parallel and keep a running average."""

import json
import multiprocessing
import os


def score(number):
    total = 0
    for step in range(200 + (number * 7919) % 400):
        total += (number * step) % 7
    return number, total


if __name__ == "__main__":
    with multiprocessing.Pool(4) as pool:
        average, order = 0.0, []
        for number, total in pool.imap_unordered(score, range(3000)):
            average += 0.05 * (total - average)
            order.append(number)
    os.makedirs("outputs", exist_ok=True)
    with open("outputs/scores.json", "w") as file:
        json.dump({"average": average, "last": order[-50:]}, file)
