"""Smooth a series with the settings of this user."""

import configparser
import os

settings = configparser.ConfigParser()
settings["smoothing"] = {"alpha": "0.5"}
settings.read(os.path.expanduser("~/.smoothrc"))
alpha = settings.getfloat("smoothing", "alpha")

level, smooth = 0.0, []
for step in range(60):
    level += alpha * ((step * 37) % 11 - level)
    smooth.append(level)
os.makedirs("outputs", exist_ok=True)
with open("outputs/smooth.txt", "w") as file:
    file.writelines(f"{value!r}\n" for value in smooth)
