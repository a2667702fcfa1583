"""Where a model can be read and changed; sole owner of hooks."""

from fairseq_rome.host.sites.computed_once import computed_once
from fairseq_rome.host.sites.feed_forward import (
    Activations,
    add_at_tokens,
    add_to_value,
    device_of,
    find_sites,
    layer_at,
    only_until,
    parameter_names,
    prepared,
    record,
)
from fairseq_rome.host.sites.linear_maps import Passed, add_to_maps, passing
from fairseq_rome.host.sites.outputs import rescored
from fairseq_rome.host.sites.site import OUTPUTS, Site
from fairseq_rome.host.sites.states import (
    CROSS_ATTENTION,
    FFN,
    KINDS,
    SELF_ATTENTION,
    Cell,
    State,
    add_to_embeddings,
    embedding_of,
    find_states,
    overwrite,
    record_states,
)
from fairseq_rome.host.sites.streams import record_stream

__all__ = [
    "CROSS_ATTENTION",
    "FFN",
    "KINDS",
    "OUTPUTS",
    "SELF_ATTENTION",
    "Activations",
    "Cell",
    "Passed",
    "Site",
    "State",
    "add_at_tokens",
    "add_to_embeddings",
    "add_to_maps",
    "add_to_value",
    "computed_once",
    "device_of",
    "embedding_of",
    "find_sites",
    "find_states",
    "layer_at",
    "overwrite",
    "parameter_names",
    "passing",
    "prepared",
    "only_until",
    "record",
    "record_states",
    "record_stream",
    "rescored",
]
