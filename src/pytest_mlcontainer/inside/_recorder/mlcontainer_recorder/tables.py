"""What tables, columns and scalars of pandas hold: what its own code gives out of them."""

COLUMNS = 200


def described(pandas, value):
    """The kind of such an object, and what it holds by name; None of others.

    Args:
        pandas: the module, whichever release the program has.
    """
    kind = type(value).__name__
    if isinstance(value, pandas.DataFrame):
        names = [str(each) for each in list(value.columns)[:COLUMNS]]
        found = {"(index)": _flat(pandas, value.index)}
        for place, name in enumerate(names):
            found["%d:%s" % (place, name)] = _flat(pandas, value.iloc[:, place])
        return "DataFrame", found
    if isinstance(value, (pandas.Series, pandas.Index, pandas.api.extensions.ExtensionArray)):
        return kind, {"values": _flat(pandas, value)}
    if isinstance(value, pandas.Interval):
        return kind, {"left": value.left, "right": value.right, "closed": value.closed}
    return None


def as_text(pandas, value):
    """A moment, a span, a period, a step between moments, or nothing, as text; None of others."""
    if value is pandas.NaT or value is getattr(pandas, "NA", None):
        return str(value)
    if isinstance(value, pandas.Timestamp):
        return value.isoformat() if value.tz is None else "%s %s" % (value.isoformat(), value.tz)
    if isinstance(value, pandas.Timedelta):
        return value.isoformat()
    if isinstance(value, (pandas.Period, pandas.tseries.offsets.BaseOffset)):
        return "%s %s" % (value, value.freqstr)
    return None


def _flat(pandas, values):
    """Values as an array of numbers or texts, of moments and spans as the numbers behind them."""
    if isinstance(values, pandas.MultiIndex):
        return values.to_numpy()
    kind = values.dtype
    if isinstance(kind, pandas.DatetimeTZDtype):
        return {"at": values.to_numpy(dtype="datetime64[ns]"), "zone": str(kind)}
    if isinstance(kind, pandas.PeriodDtype):
        return {"at": _numbers_of(values), "every": str(kind)}
    if isinstance(kind, pandas.IntervalDtype):
        ends = getattr(values, "array", values)
        parts = {name: _flat(pandas, getattr(ends, name)) for name in ("left", "right")}
        return {**parts, "closed": str(ends.closed)}
    return values.to_numpy() if hasattr(values, "to_numpy") else values.__array__()


def _numbers_of(periods):
    return getattr(periods, "array", periods).asi8
