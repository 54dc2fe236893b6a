from pytest_mlcontainer.model import Facts


def took_effect(witness: tuple[str, ...], before: Facts, after: Facts) -> str:
    left, right = dict(before.values), dict(after.values)
    for name in witness:
        name, _eq, value = name.partition("=")
        for each in sorted(left.keys() | right.keys()):
            if each == name or (name.endswith(".") and each.startswith(name)):
                if left.get(each) != right.get(each) and (not value or str(right.get(each)) == value):
                    return f"{each} {left.get(each)} → {right.get(each)}"
    return ""
