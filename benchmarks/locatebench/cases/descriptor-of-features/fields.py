class Numbered:
    """Numbers what an attribute holds, once for each object."""

    def __set_name__(self, owner, name):
        self._name = "_" + name

    def __set__(self, instance, values):
        order = [value for value in set(values)]
        setattr(instance, self._name, {value: at for at, value in enumerate(order)})

    def __get__(self, instance, owner=None):
        return self if instance is None else getattr(instance, self._name)
