"""The commands; the only place that exits."""
