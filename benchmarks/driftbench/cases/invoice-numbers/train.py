"""Write the forecast of each month as people read it."""

import locale
import os

locale.setlocale(locale.LC_ALL, "")
forecast = [1234.5 * (month + 1) ** 1.1 for month in range(12)]

os.makedirs("outputs", exist_ok=True)
with open("outputs/forecast.txt", "w", encoding="utf-8") as file:
    for month, amount in enumerate(forecast, 1):
        file.write(f"{month:2d} {locale.format_string('%.2f', amount, grouping=True)}\n")
