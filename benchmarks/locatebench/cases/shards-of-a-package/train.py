"""Fit the level of sales."""

from shop.data import Sales
from shop.model import Smoother
from shop.output import save

sales = Sales("shards")
model = Smoother(0.3)
model.fit(sales)
save(model.summary())
