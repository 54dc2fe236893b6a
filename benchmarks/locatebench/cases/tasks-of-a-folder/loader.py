import asyncio
from pathlib import Path


async def read(path):
    await asyncio.sleep(0)
    return float(path.read_text())


async def read_all(folder):
    tasks = [asyncio.create_task(read(path)) for path in Path(folder).iterdir()]
    return await asyncio.gather(*tasks)
