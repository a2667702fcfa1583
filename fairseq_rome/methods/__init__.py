"""Editing methods, one file each: what to do to a site's weights so that one request, or all of them, hold."""
