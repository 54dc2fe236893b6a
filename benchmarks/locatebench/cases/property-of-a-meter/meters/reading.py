from datetime import datetime


class Reading:
    """What a meter said, and when."""

    def __init__(self, moment, level):
        self._moment = moment
        self.level = level

    @property
    def hour(self):
        return datetime.fromtimestamp(self._moment).hour

    @property
    def weight(self):
        return self.level * (1 + self.hour / 24)
