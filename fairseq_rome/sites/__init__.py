"""Where a model can be read and changed; sole owner of hooks."""

from fairseq_rome.sites.feed_forward import (
    Activations,
    Site,
    add_to_value,
    device_of,
    find_sites,
    layer_at,
    parameter_names,
    prepared,
    record,
)

__all__ = [
    "Activations",
    "Site",
    "add_to_value",
    "device_of",
    "find_sites",
    "layer_at",
    "parameter_names",
    "prepared",
    "record",
]
