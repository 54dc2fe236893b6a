"""Smooth with settings."""

from tuner.output import save
from tuner.settings import read_settings

settings = read_settings()
level, levels = 0.0, []
for step in range(40):
    level += settings["alpha"] * ((step * 17) % 13 - level)
    levels.append(level)
save({"levels": levels})
