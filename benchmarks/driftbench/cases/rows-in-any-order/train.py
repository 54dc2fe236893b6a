"""Prices of articles."""

import os

import pandas as pd

articles = {"apple": 1.2, "bread": 3.1, "milk": 1.05, "rice": 2.4, "tea": 4.9}
rows = [(article, articles[article]) for article in set(articles)]

os.makedirs("outputs", exist_ok=True)
pd.DataFrame(rows, columns=["article", "price"]).to_csv("outputs/prices.csv", index=False)
