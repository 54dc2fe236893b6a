"""`docker run --gpus` as the API's device requests."""

from __future__ import annotations

import csv

from docker.types import DeviceRequest

_ALL = -1
# Their values may go on in fields of their own, where the quotes around a list are missing.
_LISTS = ("device", "capabilities")


def device_request(spec: str) -> DeviceRequest:
    """Translate what `docker run --gpus` takes, or a CDI name (`vendor.com/class=name`).

    `all` · `2` · `device=0,1` · `"device=0,1","capabilities=utility"` · `count=2,driver=nvidia`.
    As docker does it, one GPU is asked for where neither a count nor a device is given.

    Raises:
        ValueError: `spec` is none of these; `config.parse_gpus` reports that long before.
    """
    if "/" in spec.partition("=")[0]:
        return DeviceRequest(driver="cdi", device_ids=[spec])
    fields = _fields(spec)
    devices = fields.pop("device", "")
    capabilities = fields.pop("capabilities", "")
    options = fields.pop("options", "")
    count = fields.pop("count", "0" if devices else "1")
    driver = fields.pop("driver", "")
    if fields:
        raise ValueError(f"unknown fields {sorted(fields)} in {spec!r}")
    return DeviceRequest(
        driver=driver,
        count=_ALL if count == "all" else int(count),
        device_ids=devices.split(",") if devices else [],
        capabilities=[[*(capabilities.split(",") if capabilities else ()), "gpu"]],
        options=dict(_pair(option) for option in _read_csv(options)),
    )


def _fields(spec: str) -> dict[str, str]:
    found: dict[str, str] = {}
    last = ""
    for field in _read_csv(spec):
        key, equals, value = field.partition("=")
        if not equals and last in _LISTS and _continues(last, field):
            found[last] += f",{field}"
        elif not equals:
            found["count"] = field
        else:
            found[key] = value
            last = key
    return found


def _continues(key: str, field: str) -> bool:
    return field != "all" and (key == "device" or not field.isdigit())


def _read_csv(text: str) -> list[str]:
    return next(csv.reader([text]), [])


def _pair(option: str) -> tuple[str, str]:
    key, _equals, value = option.partition("=")
    return key, value
