"""Which changes cause a drift: the search, as plans and observations. Nothing is run here."""
