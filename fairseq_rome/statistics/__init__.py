"""What passes a site on background text, measured once and kept in a cache that never takes a stale file."""

from fairseq_rome.statistics.background import OF_OTHERS, Background, unmeasured
from fairseq_rome.statistics.kept_statistics import RecentStatistics, backgrounds
from fairseq_rome.statistics.measuring import collect, inputs_of, keys_of
from fairseq_rome.statistics.read_pairs import ReadPairs

__all__ = [
    "OF_OTHERS", "Background", "ReadPairs", "RecentStatistics", "backgrounds", "collect", "inputs_of", "keys_of",
    "unmeasured",
]  # fmt: skip
