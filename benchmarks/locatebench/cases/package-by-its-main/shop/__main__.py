"""Count towns."""

from .output import save
from .towns import Towns

towns = Towns("towns.txt")
save({"letters": towns.letters(), "count": len(towns)})
