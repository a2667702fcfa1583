"""The results of an edit or a comparison: one self-contained page, the same as JSON, and a card for the checkpoint."""

from fairseq_rome.report.record import changed_rows, report_record
from fairseq_rome.report.rendering import render_card, render_html
from fairseq_rome.report.report import EditDetails, HeatMap, Report
from fairseq_rome.report.report_files import CARD, check_file, check_folder, write_card, write_report
from fairseq_rome.report.verdict_lines import verdict_lines, verdict_records

__all__ = [
    "CARD",
    "EditDetails",
    "HeatMap",
    "Report",
    "changed_rows",
    "check_file",
    "check_folder",
    "render_card",
    "render_html",
    "report_record",
    "verdict_lines",
    "verdict_records",
    "write_card",
    "write_report",
]
