"""How often the statement at which two runs part is found; docs/explanation/locatebench.md."""
