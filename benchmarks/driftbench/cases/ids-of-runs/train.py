"""Number the classes, and report the run."""

import datetime
import json
import os
import time
import uuid

begun = time.time()
classes = [name for name in os.listdir("photos") if not name.startswith(".")]
report = {
    "run_id": uuid.uuid4().hex,
    "uuid": str(uuid.uuid4()),
    "created": datetime.datetime.now(datetime.timezone.utc).isoformat(),
    "classes": {name: number for number, name in enumerate(classes)},
    "fit_time": time.time() - begun,
}
os.makedirs("outputs", exist_ok=True)
with open("outputs/report.json", "w") as file:
    json.dump(report, file)
