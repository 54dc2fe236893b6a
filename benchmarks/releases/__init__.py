"""Whether every knob of the product takes effect in releases of the packages that it reaches."""
