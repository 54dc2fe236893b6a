"""Hours of messages, in UTC."""

import datetime
import json

hours = [0] * 24
letters = {}
with open("messages.txt", encoding="utf-8") as file:
    for line in file:
        moment, text = line.rstrip("\n").split(" ", 1)
        hours[datetime.datetime.fromtimestamp(int(moment), datetime.timezone.utc).hour] += 1
        for letter in text:
            letters[letter] = letters.get(letter, 0) + 1
with open("summary.json", "w", encoding="utf-8") as file:
    json.dump({"hours": hours, "letters": letters}, file)
