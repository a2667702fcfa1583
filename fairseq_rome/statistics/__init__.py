"""What passes a site on background text, measured once and kept in a cache that never takes a stale file."""

from fairseq_rome.statistics.background import OF_OTHERS, Background, unmeasured
from fairseq_rome.statistics.kept_statistics import backgrounds
from fairseq_rome.statistics.measuring import collect, inputs_of, keys_of

__all__ = ["OF_OTHERS", "Background", "backgrounds", "collect", "inputs_of", "keys_of", "unmeasured"]
